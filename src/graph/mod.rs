//! Spec and points → [`Graph`]: a node for each distinct piece of work. A declared node is read as
//! settings once for each combination of the axes that reach it; equal keys become one node.

mod body;
mod inputs;

use crate::expand::{self, Point, SEED, Target, show};
use crate::external::{self, External};
use crate::key::{self, Inputs, Key};
use crate::problem::{Problem, Problems};
use crate::settings::{Dataset, Found, Kind, Reader, Reference, Settings, Step};
use crate::spec::{FigureSpec, Spec};
use crate::words;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// A node: one piece of work with its identity.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its identity.
    pub key: Key,
    /// Name for people: `net[schedule=cosine,seed=1]`.
    pub name: String,
    /// The declaration's name, such as `net` or `score.power_spectrum`.
    pub declared: String,
    /// Its settings, complete.
    pub settings: Settings,
    /// Its inputs by role.
    pub inputs: Inputs,
    /// For train nodes, the key of the trajectory.
    pub trajectory: Option<Key>,
    /// The seed of the point that first asked for it, to run seed 0 of everything first.
    pub seed: u64,
    /// Seconds between checkpoints, if the spec says so.
    pub checkpoint_seconds: Option<f64>,
}

impl Node {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.settings.kind()
    }

    /// `<kind>-<key12>`: the name of its folder.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.kind().word(), self.key.short())
    }

    /// What its key is made of.
    pub fn identity(&self) -> Value {
        key::identity(&self.settings, &self.inputs)
    }
}

/// The graph of a spec, edges from inputs to users with the role as weight.
#[derive(Debug, Default)]
pub struct Graph {
    /// The nodes.
    pub nodes: DiGraph<Node, &'static str>,
    /// The points, as expanded.
    pub points: Vec<Point>,
    /// For each point, the node that each declared name stands for there.
    pub at: Vec<BTreeMap<String, NodeIndex>>,
    /// For each point and declared name, whether it is the same work as in the spec as written (seed aside).
    pub baseline: Vec<BTreeSet<String>>,
    /// The nodes whose artefacts a figure shows, so that they are needed even when nothing else reads them.
    pub pictured: BTreeSet<NodeIndex>,
    /// How many nodes there would be if no two points shared any, by kind.
    pub unshared: BTreeMap<Kind, usize>,
}

impl Graph {
    /// Reads a spec and builds its graph.
    ///
    /// # Errors
    /// Everything that is wrong with the file, its sweeps, and the settings at any point, each with its place.
    pub fn read(file: &Path) -> Result<(Spec, Self), Problems> {
        let mut problems = Problems::default();
        let Some(spec) = Spec::read(file, &mut problems) else {
            return Err(problems.or(()).expect_err("without a spec there is a problem"));
        };
        let mut builder = Builder::new(&spec);
        for point in expand::points(&spec, &mut builder.reader) {
            builder.add(point);
        }
        let Builder { graph, reader, .. } = builder;
        problems.0.append(&mut spec.located(reader).0);
        problems.or((spec, graph))
    }

    /// All nodes.
    pub fn indices(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        self.nodes.node_indices()
    }

    /// The inputs of a node.
    pub fn inputs(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        self.nodes.neighbors_directed(node, petgraph::Direction::Incoming)
    }

    /// The nodes that read from a node.
    pub fn users(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        self.nodes.neighbors_directed(node, petgraph::Direction::Outgoing)
    }

    /// These nodes and all that they read from, directly or not.
    pub fn upstream(&self, of: impl IntoIterator<Item = NodeIndex>) -> BTreeSet<NodeIndex> {
        let mut left: Vec<NodeIndex> = of.into_iter().collect();
        let mut found = BTreeSet::new();
        while let Some(node) = left.pop() {
            if found.insert(node) {
                left.extend(self.inputs(node));
            }
        }
        found
    }

    /// The input of a node with this role.
    pub fn input(&self, node: NodeIndex, role: &str) -> Option<NodeIndex> {
        let mut edges = self.nodes.edges_directed(node, petgraph::Direction::Incoming);
        edges.find(|edge| *edge.weight() == role).map(|edge| edge.source())
    }

    /// The nodes that a name on the command line stands for: a readable name, a declared
    /// name, an evaluate node for all its measures, a key or its beginning.
    pub fn find(&self, name: &str) -> Vec<NodeIndex> {
        let is = |node: &Node| {
            node.name == name
                || node.declared == name
                || node.declared.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
                || node.folder() == name
                || (name.len() >= 4 && node.key.hex().starts_with(name))
        };
        let exact: Vec<NodeIndex> =
            self.indices().filter(|i| self.nodes[*i].name == name).collect();
        if exact.is_empty() {
            self.indices().filter(|i| is(&self.nodes[*i])).collect()
        } else {
            exact
        }
    }
}

/// A declared node at some point: its settings are read, its key is known.
#[derive(Debug, Clone)]
struct Instance {
    settings: Settings,
    inputs: Vec<(&'static str, usize, String)>,
    key: Key,
    /// The declaration's place in the spec.
    declaration: usize,
    /// The axes that reach it or its inputs, with their words.
    label: Vec<(String, String)>,
}

/// What an instance depends on: its declaration and the changes that reach it or its inputs.
type Reach = (usize, Vec<(Target, String)>);

struct Builder<'s> {
    spec: &'s Spec,
    graph: Graph,
    reader: Reader,
    instances: Vec<Instance>,
    known: HashMap<Reach, Option<usize>>,
    by_key: HashMap<Key, NodeIndex>,
    /// For each declaration, those it reads from, directly or not, itself included.
    upstream: Vec<BTreeSet<usize>>,
    external: External,
}

impl<'s> Builder<'s> {
    fn new(spec: &'s Spec) -> Self {
        Self {
            spec,
            graph: Graph::default(),
            reader: Reader::default(),
            instances: vec![],
            known: HashMap::new(),
            by_key: HashMap::new(),
            upstream: inputs::upstream(spec),
            external: External::new(external::cache_folder().map(|f| f.join("digests.json"))),
        }
    }

    /// Adds the nodes of one point.
    fn add(&mut self, point: Point) {
        let wanted = self.wanted(&point);
        let mut at = BTreeMap::new();
        let mut baseline = BTreeSet::new();
        for index in wanted {
            let Some(instance) = self.instance(index, &point, &mut vec![]) else { continue };
            let name = self.spec.nodes[index].name.clone();
            *self.graph.unshared.entry(self.instances[instance].settings.kind()).or_default() += 1;
            at.insert(name.clone(), self.publish(instance, point.seed.unwrap_or(0)));
            let seeds_only =
                point.changes.iter().filter(|c| c.target == Target::Var(SEED.to_owned()));
            let plain = Point { changes: seeds_only.cloned().collect(), ..point.clone() };
            if self.instance(index, &plain, &mut vec![]).map(|i| self.instances[i].key)
                == Some(self.instances[instance].key)
            {
                baseline.insert(name);
            }
        }
        let figures = self.spec.figures.iter().map(|(_, figure)| figure);
        let grids = figures.filter(|figure| {
            matches!(figure, FigureSpec::Grid(_))
                && figure.sweep().map_or("", String::as_str) == point.sweep
        });
        self.graph.pictured.extend(grids.filter_map(|figure| at.get(figure.target())));
        self.graph.points.push(point);
        self.graph.at.push(at);
        self.graph.baseline.push(baseline);
    }

    /// The declarations that a point needs: those that its changes reach, and those they read from.
    fn wanted(&self, point: &Point) -> BTreeSet<usize> {
        if point.sweep.is_empty() {
            return (0..self.spec.nodes.len()).collect();
        }
        let named = self.named_by_outputs(&point.sweep);
        let reached = |index: &usize| {
            named.contains(index)
                || self.upstream[*index].iter().any(|up| {
                    point.changes.iter().any(|change| change.target.reaches(&self.spec.nodes[*up]))
                })
        };
        let reached: Vec<usize> = (0..self.spec.nodes.len()).filter(reached).collect();
        reached.iter().flat_map(|index| self.upstream[*index].iter().copied()).collect()
    }

    /// The declarations that the figures and tables of a sweep read.
    fn named_by_outputs(&self, sweep: &str) -> BTreeSet<usize> {
        let figures =
            self.spec.figures.iter().map(|(_, figure)| (figure.sweep(), vec![figure.target()]));
        let tables = self
            .spec
            .tables
            .iter()
            .map(|(_, table)| (table.sweep.as_ref(), table.columns.iter().collect()));
        let targets = figures.chain(tables).filter(|(of, _)| of.is_some_and(|of| of == sweep));
        let targets: Vec<&String> =
            targets.flat_map(|(_, targets): (_, Vec<&String>)| targets).collect();
        let declared = |target: &String| {
            let (node, _) = self.spec.split_path(target)?;
            self.spec.nodes.iter().position(|other| other.name == node.name)
        };
        targets.into_iter().filter_map(declared).collect()
    }

    /// The instance of a declaration at a point; `None` if something is wrong, which is then noted.
    fn instance(&mut self, index: usize, point: &Point, trail: &mut Vec<usize>) -> Option<usize> {
        let reach = self.reach(index, point);
        if let Some(known) = self.known.get(&reach) {
            return *known;
        }
        if trail.contains(&index) {
            self.refuse_cycle(index, trail);
            return None;
        }
        trail.push(index);
        let made = self.make(index, point, trail);
        trail.pop();
        let made = made.map(|instance| {
            self.instances.push(instance);
            self.instances.len() - 1
        });
        self.known.insert(reach, made);
        made
    }

    fn reach(&self, index: usize, point: &Point) -> Reach {
        let reaches = |target: &Target| {
            self.upstream[index].iter().any(|up| target.reaches(&self.spec.nodes[*up]))
        };
        let changes = point.changes.iter().filter(|change| reaches(&change.target));
        (
            index,
            changes.map(|change| (change.target.clone(), key::canonical(&change.value))).collect(),
        )
    }

    fn make(&mut self, index: usize, point: &Point, trail: &mut Vec<usize>) -> Option<Instance> {
        let spec = self.spec;
        let node = &spec.nodes[index];
        let before = self.reader.count();
        let (body, moved) = body::at(spec, node, point, &mut self.reader);
        if self.reader.count() > before {
            // Without its variables nothing more can be said of the node.
            return None;
        }
        let mut reader = Reader::default();
        let found = Found { value: &body, path: vec![] };
        let settings = Settings::read(node.kind, &found, &mut reader).filter(|_| reader.is_clean());
        let back = |path: &[Step]| body::origin(node, &moved, path);
        let Some(mut settings) = settings else {
            self.reader.extend(reader.moved(back));
            return None;
        };
        if let Settings::Dataset(dataset) = &mut settings {
            self.settle_files(dataset, back)?;
        }
        let mut inputs = vec![];
        let references: Vec<(&'static str, Reference)> = settings
            .references()
            .into_iter()
            .map(|(role, reference)| (role, reference.clone()))
            .collect();
        for (role, reference) in references {
            match self.input(role, &reference, point, trail) {
                Ok(Some((input, port))) => inputs.push((role, input, port)),
                Ok(None) => return None,
                Err(problem) => {
                    let found =
                        Found { value: &Value::Null, path: back(&crate::settings::keys(&[role])) };
                    return self.reader.wrong(&found, problem);
                }
            }
        }
        let mut reader = Reader::default();
        self.settle(&mut settings, &inputs, &found, &mut reader);
        if !reader.is_clean() {
            self.reader.extend(reader.moved(back));
            return None;
        }
        let keyed = self.keyed(&inputs);
        let key = Key::of(&key::identity(&settings, &keyed));
        Some(Instance {
            settings,
            inputs,
            key,
            declaration: index,
            label: self.label(index, point),
        })
    }

    /// Finds the external files of a dataset; `None` if one is not there, which is then noted.
    fn settle_files(
        &mut self,
        dataset: &mut Dataset,
        back: impl Fn(&[Step]) -> Vec<Step>,
    ) -> Option<()> {
        let word = dataset.word();
        let mut whole = Some(());
        let folder_of = |path: &[Step]| {
            let place = self.spec.merged.place(path);
            let folder = place.and_then(|place| Some(place.file.parent()?.to_owned()));
            folder.unwrap_or_default()
        };
        for (setting, file) in dataset.files() {
            let path = back(&crate::settings::keys(&[word, setting]));
            if let Err(problem) = self.external.settle(file, &folder_of(&path)) {
                whole = self.reader.wrong(&Found { value: &Value::Null, path }, problem);
            }
        }
        if let Some(folder) = dataset.folder() {
            let path = back(&crate::settings::keys(&[word, "folder"]));
            folder.0 = crate::settings::beside(&folder_of(&path), &folder.0);
        }
        whole?;
        let found = Found { value: &Value::Null, path: back(&crate::settings::keys(&[word])) };
        inputs::check_dataset(dataset, &found, &mut self.reader)
    }

    fn keyed(&self, inputs: &[(&'static str, usize, String)]) -> Inputs {
        inputs
            .iter()
            .map(|(role, input, port)| (*role, (self.instances[*input].key, port.clone())))
            .collect()
    }

    /// The words of the axes that reach a declaration, the seed last.
    fn label(&self, index: usize, point: &Point) -> Vec<(String, String)> {
        let reached: Vec<Target> =
            self.reach(index, point).1.into_iter().map(|(target, _)| target).collect();
        let variant = point.coordinate(expand::VARIANT);
        let mut label: Vec<(String, String)> = Vec::new();
        for change in point.changes.iter().filter(|change| reached.contains(&change.target)) {
            match (variant, change.target == Target::Var(SEED.to_owned())) {
                (Some(variant), false) => {
                    let word = ("".to_owned(), show(variant));
                    if !label.contains(&word) {
                        label.push(word);
                    }
                }
                _ => label.push((change.target.word().to_owned(), show(&change.value))),
            }
        }
        label
    }

    /// The input that a reference names, and the port.
    fn input(
        &mut self,
        role: &'static str,
        reference: &Reference,
        point: &Point,
        trail: &mut Vec<usize>,
    ) -> Result<Option<(usize, String)>, Problem> {
        let names = || self.spec.nodes.iter().map(|node| node.name.as_str());
        let Some(index) = self.spec.nodes.iter().position(|node| node.name == reference.node)
        else {
            let problem = Problem::new(format!("there is no node `{}`", reference.node));
            return Err(match words::nearest(&reference.node, names()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!(
                    "the nodes are {}",
                    words::alternatives(&names().collect::<Vec<_>>())
                )),
            });
        };
        let port = inputs::port(role, reference, self.spec.nodes[index].kind)?;
        Ok(self.instance(index, point, trail).map(|instance| (instance, port)))
    }

    fn refuse_cycle(&mut self, index: usize, trail: &[usize]) {
        let start = trail.iter().position(|at| *at == index).unwrap_or(0);
        let names: Vec<&str> = trail[start..]
            .iter()
            .chain([&index])
            .map(|i| self.spec.nodes[*i].name.as_str())
            .collect();
        let problem = Problem::new(format!(
            "the nodes read from each other in a circle: {}",
            names.join(" → ")
        ));
        let found = Found { value: &Value::Null, path: self.spec.nodes[index].path.clone() };
        self.reader.wrong::<()>(&found, problem.help("break the circle"));
    }

    /// Settles what depends on inputs: the default weights, and limits that inputs set.
    fn settle(
        &self,
        settings: &mut Settings,
        inputs: &[(&'static str, usize, String)],
        found: &Found<'_>,
        reader: &mut Reader,
    ) {
        let input = |role: &str| {
            inputs.iter().find(|(r, ..)| *r == role).map(|(_, i, _)| &self.instances[*i].settings)
        };
        match settings {
            Settings::Sample(sample) => {
                let Some(Settings::Train(train)) = input("from") else { return };
                inputs::settle_sample(sample, train, found, reader);
            }
            Settings::Train(train) => {
                let Some(Settings::Dataset(data)) = input("data") else { return };
                inputs::check_train(train, data, found, reader);
            }
            _ => {}
        }
    }

    /// Puts an instance and its inputs into the graph.
    fn publish(&mut self, instance: usize, seed: u64) -> NodeIndex {
        let made = self.instances[instance].clone();
        if let Some(known) = self.by_key.get(&made.key) {
            return *known;
        }
        let inputs: Vec<(&'static str, NodeIndex)> = made
            .inputs
            .iter()
            .map(|(role, input, _)| (*role, self.publish(*input, seed)))
            .collect();
        let declaration = &self.spec.nodes[made.declaration];
        let keyed = self.keyed(&made.inputs);
        let node = self.graph.nodes.add_node(Node {
            key: made.key,
            name: readable(&declaration.name, &made.label),
            declared: declaration.name.clone(),
            trajectory: key::trajectory(&made.settings, &keyed).map(|identity| Key::of(&identity)),
            settings: made.settings,
            inputs: keyed,
            seed,
            checkpoint_seconds: declaration.run.checkpoint.map(|span| span.0),
        });
        for (role, input) in inputs {
            self.graph.nodes.add_edge(input, node, role);
        }
        self.by_key.insert(made.key, node);
        node
    }
}

/// `net[schedule=cosine,seed=1]`.
fn readable(declared: &str, label: &[(String, String)]) -> String {
    if label.is_empty() {
        return declared.to_owned();
    }
    let words: Vec<String> = label
        .iter()
        .map(
            |(axis, value)| if axis.is_empty() { value.clone() } else { format!("{axis}={value}") },
        )
        .collect();
    format!("{declared}[{}]", words.join(","))
}
