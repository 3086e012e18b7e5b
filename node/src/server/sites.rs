//! The folders that routes serve files from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Config, Problem};
use crate::files::Files;
use crate::route::PathPattern;

/// What routes serve from folders, by the routes' positions.
pub(super) type Sites = BTreeMap<usize, Arc<Files>>;

/// Looks at the folder of every route that has one. What serves the same already goes on, each of
/// it for one route, so that what is being read counts.
pub(super) fn sites(
    config: &Config,
    previous: Option<&Sites>,
    problems: &mut Vec<Problem>,
) -> Sites {
    let mut known: Vec<_> = previous.into_iter().flat_map(Sites::values).collect();
    let mut sites = Sites::new();
    for (position, route) in config.routes.iter().enumerate() {
        let Some(settings) = &route.files else {
            continue;
        };
        let prefix = match &route.criteria.path {
            PathPattern::Prefix(prefix) => prefix.as_str(),
            PathPattern::Exact(_) | PathPattern::Regex(_) => "/",
        };
        match Files::new(settings.clone(), prefix) {
            Ok(files) => {
                let same = known.iter().position(|known| known.is_same(&files));
                let kept = same.map(|at| Arc::clone(known.remove(at)));
                sites.insert(position, kept.unwrap_or_else(|| Arc::new(files)));
            }
            Err(error) => problems.push(config.problem(
                &format!("routes[{position}].files"),
                format_args!("cannot serve from {}: {error}", settings.root.display()),
                "name a folder that the node's user can read",
            )),
        }
    }
    sites
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn what_serves_the_same_goes_on_each_of_it_for_one_route() {
        let folder = tempfile::tempdir().unwrap();
        let load = |keys: &[&str], previous: Option<&Sites>| {
            let mut text = "[[listeners]]\naddress = \"127.0.0.1:0\"\n".to_owned();
            for (number, keys) in keys.iter().enumerate() {
                text += &format!("[[routes]]\npath = \"/{number}\"\n");
                text += &format!("files = {{ root = \".\", hidden = {keys} }}\n");
            }
            let parsed = config::parse(&text, folder.path(), &|_| None);
            let mut problems = parsed.problems;
            let sites = sites(&parsed.config, previous, &mut problems);
            assert!(problems.is_empty());
            sites
        };
        let old = load(&["true", "false"], None);
        let new = load(&["false", "false", "true"], Some(&old));
        assert!(Arc::ptr_eq(&new[&0], &old[&1]));
        assert!(Arc::ptr_eq(&new[&2], &old[&0]));
        assert!(old.values().all(|old| !Arc::ptr_eq(&new[&1], old)));
    }
}
