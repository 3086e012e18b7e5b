//! The path prefixes of one host, as a tree of segments.

use std::{collections::HashMap, iter};

use super::{path::NormalText, table::RouteId};

/// Routes by path prefix. A lookup walks down the path once and up again, so it takes time linear
/// in the path's length, however many prefixes there are.
#[derive(Debug)]
pub(super) struct Prefixes {
    /// The first is the root, `/`.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// `None` for the root only.
    parent: Option<usize>,
    children: HashMap<Box<str>, usize>,
    routes: Vec<RouteId>,
}

// === impl Prefixes ===

impl Prefixes {
    /// Adds a route; of routes with one prefix, the first added comes first.
    pub(super) fn insert(&mut self, prefix: &NormalText, route: RouteId) {
        let mut at = 0;
        for segment in segments(prefix.as_str()).filter(|segment| !segment.is_empty()) {
            at = self.child(at, segment);
        }
        self.nodes[at].routes.push(route);
    }

    /// The routes whose prefix covers `path`, longest prefix first.
    pub(super) fn covering(&self, path: &str) -> impl Iterator<Item = RouteId> {
        iter::successors(Some(self.deepest(path)), |node| {
            node.parent.map(|parent| &self.nodes[parent])
        })
        .flat_map(|node| node.routes.iter().copied())
    }

    fn child(&mut self, parent: usize, segment: &str) -> usize {
        if let Some(&child) = self.nodes[parent].children.get(segment) {
            return child;
        }
        let child = self.nodes.len();
        self.nodes.push(Node {
            parent: Some(parent),
            ..Node::default()
        });
        self.nodes[parent].children.insert(segment.into(), child);
        child
    }

    fn deepest(&self, path: &str) -> &Node {
        let mut node = &self.nodes[0];
        for segment in segments(path) {
            match node.children.get(segment) {
                Some(&child) => node = &self.nodes[child],
                None => break,
            }
        }
        node
    }
}

impl Default for Prefixes {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').skip(1)
}
