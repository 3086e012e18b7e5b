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
