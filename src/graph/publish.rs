//! Slots whose keys are known → the nodes of a [`Graph`], equal keys once.

use super::build::{Builder, NOT, Slots};
use super::choose::State;
use super::{At, Graph, Node};
use crate::expand::{Point, Points};
use crate::key::Key;
use crate::spec::FigureSpec;
use petgraph::graph::NodeIndex;
use std::collections::HashMap;
use std::sync::Arc;

impl Builder<'_> {
    /// Puts everything that points want into a graph, equal keys once.
    pub(super) fn publish(self, points: Points, at: &[Slots], plain: &[Slots]) -> Graph {
        let declared: Vec<Arc<str>> =
            self.spec.nodes.iter().map(|node| Arc::from(node.name.as_str())).collect();
        let mut graph = Graph { declared, ..Graph::default() };
        let nodes = self.made.iter().map(|made| vec![NodeIndex::end(); made.len()]).collect();
        let mut publisher = Publisher { builder: &self, nodes, by_key: HashMap::new() };
        for (i, point) in points.all.iter().enumerate() {
            let mut here = At {
                nodes: vec![NodeIndex::end(); at[i].len()].into_boxed_slice(),
                baseline: vec![false; at[i].len()].into_boxed_slice(),
            };
            for (index, slot) in at[i].iter().enumerate().filter(|(_, slot)| **slot != NOT) {
                let key = |slot: u32| {
                    self.made[index][slot as usize].as_ref().map(|instance| instance.key)
                };
                here.baseline[index] = key(plain[i][index]) == key(*slot);
                if self.contests.state(index, *slot) != State::Here {
                    continue;
                }
                let kind = self.spec.nodes[index].kind;
                *graph.unshared.entry(kind).or_default() += 1;
                here.nodes[index] = publisher.publish(&mut graph, index, *slot);
            }
            self.picture(&mut graph, point, &here);
            graph.at.push(here);
        }
        graph.selections =
            self.contests.told(|(index, slot)| publisher.nodes[index][slot as usize]);
        graph.notices = points
            .notices
            .into_iter()
            .map(|(path, notice)| match self.spec.merged.place(&path) {
                Some(place) => notice.at(place),
                None => notice,
            })
            .collect();
        (graph.points, graph.chosen) = (points.all, points.chosen);
        graph
    }

    /// Notes the nodes whose artefacts a figure shows.
    fn picture(&self, graph: &mut Graph, point: &Point, here: &At) {
        for (_, figure) in &self.spec.figures {
            let shows = matches!(figure, FigureSpec::Grid(_)) && point.is_shown(figure.shown());
            let shown = figure.target();
            let index = self.spec.nodes.iter().position(|node| Some(&node.name) == shown);
            if let Some(index) = index.filter(|_| shows) {
                graph.pictured.extend(Some(here.nodes[index]).filter(|n| *n != NodeIndex::end()));
            }
        }
    }
}

struct Publisher<'b, 's> {
    builder: &'b Builder<'s>,
    /// By declaration and slot, the node it became.
    nodes: Vec<Vec<NodeIndex>>,
    by_key: HashMap<Key, NodeIndex>,
}

impl Publisher<'_, '_> {
    /// Puts a slot and its inputs into the graph.
    fn publish(&mut self, graph: &mut Graph, index: usize, slot: u32) -> NodeIndex {
        let known = self.nodes[index][slot as usize];
        if known != NodeIndex::end() {
            return known;
        }
        let builder = self.builder;
        let made = builder.made[index][slot as usize].as_ref().expect("nothing was wrong");
        if let Some(known) = self.by_key.get(&made.key) {
            self.nodes[index][slot as usize] = *known;
            return *known;
        }
        let inputs: Vec<NodeIndex> =
            made.inputs.iter().map(|(input, slot)| self.publish(graph, *input, *slot)).collect();
        let declaration = &builder.spec.nodes[index];
        let node = graph.nodes.add_node(Node {
            key: made.key,
            name: made.name.clone(),
            declared: graph.declared[index].clone(),
            trajectory: made.trajectory,
            settings: made.settings.clone(),
            inputs: made.keyed.clone(),
            seed: builder.tables[index].slots[slot as usize].seed,
            run: declaration.run.clone(),
        });
        let by_key: HashMap<Key, NodeIndex> =
            inputs.into_iter().map(|input| (graph.nodes[input].key, input)).collect();
        // A node that reads two ports of another in one role has one edge to it.
        let mut last = None;
        for input in made.keyed.iter() {
            let edge = (by_key[&input.key], input.role);
            if last != Some(edge) {
                graph.nodes.add_edge(edge.0, node, edge.1);
            }
            last = Some(edge);
        }
        self.by_key.insert(made.key, node);
        self.nodes[index][slot as usize] = node;
        node
    }
}
