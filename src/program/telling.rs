//! What a program is told: its arguments and environment variables; and in what surroundings it ran, for the record.

use super::{CHECKPOINT, PROGRESS};
use crate::files;
use crate::job::{Input, Job};
use crate::settings::{Call, Command, filled, spelled, variable_of};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A program with its arguments, its environment, and the folder that it runs in.
pub(super) struct Told {
    /// What stands before the call.
    prefix: Vec<String>,
    /// The program and its arguments.
    call: Vec<String>,
    is_shell: bool,
    variables: BTreeMap<String, String>,
    folder: PathBuf,
}

/// Settings of the worker of tensors that would only confuse others.
const NOT_PASSED_ON: [&str; 2] = ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"];

/// What a program is told in a job.
pub(super) fn told(job: &Job, command: &Command) -> Told {
    let inputs = inputs(job);
    let (call, is_shell) = match &command.call {
        Call::Shell(text) => (vec!["sh".to_owned(), "-c".to_owned(), text.clone()], true),
        Call::Arguments(written) => (
            written.iter().flat_map(|text| arguments(text, job, command, &inputs)).collect(),
            false,
        ),
    };
    Told {
        prefix: command.environment.prefix.0.clone(),
        call,
        is_shell,
        variables: variables(job, command, &inputs),
        folder: command.folder.0.clone(),
    }
}

/// The inputs of a job by role; a role that collects has several.
fn inputs(job: &Job) -> BTreeMap<String, Vec<&Input>> {
    let mut inputs: BTreeMap<String, Vec<(usize, &Input)>> = BTreeMap::new();
    for (name, input) in &job.inputs {
        // Roles are names, without a point.
        let (role, number) = name.split_once('.').unwrap_or((name, "0"));
        inputs.entry(role.to_owned()).or_default().push((number.parse().unwrap_or(0), input));
    }
    let sorted = |mut list: Vec<(usize, _)>| {
        list.sort_by_key(|(number, _)| *number);
        list.into_iter().map(|(_, input)| input).collect()
    };
    inputs.into_iter().map(|(role, list)| (role, sorted(list))).collect()
}

fn folders(inputs: &[&Input]) -> Vec<String> {
    inputs.iter().map(|input| input.folder.display().to_string()).collect()
}

/// One argument as the program gets it; that of a role which collects becomes several.
fn arguments(
    written: &str,
    job: &Job,
    command: &Command,
    inputs: &BTreeMap<String, Vec<&Input>>,
) -> Vec<String> {
    let alone = written.strip_prefix("{needs.").and_then(|rest| rest.strip_suffix('}'));
    if let Some(several) = alone.and_then(|role| inputs.get(role)) {
        return folders(several);
    }
    let value = |place: &str| match place.split_once('.') {
        None => match place {
            "out" => Some(job.work.display().to_string()),
            "checkpoint" => Some(job.work.join(CHECKPOINT).display().to_string()),
            "threads" => Some(job.threads.to_string()),
            _ => None,
        },
        Some(("params", name)) => command.params.0.get(name).map(spelled),
        Some(("needs", role)) => inputs.get(role).map(|inputs| folders(inputs).join("\n")),
        Some(_) => None,
    };
    vec![filled(written, value)]
}

fn variables(
    job: &Job,
    command: &Command,
    inputs: &BTreeMap<String, Vec<&Input>>,
) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: String| drop(all.insert(name.to_owned(), value));
    // What Python prints is to be read while it runs.
    set("PYTHONUNBUFFERED", "1".to_owned());
    set("OMP_NUM_THREADS", job.threads.to_string());
    if job.device == "cpu" {
        // On cores it is to leave the GPUs to others.
        set("CUDA_VISIBLE_DEVICES", String::new());
    }
    if let Some(path) = with_ours(std::env::var_os("PATH")) {
        set("PATH", path);
    }
    for (name, value) in &command.environment.variables.0 {
        set(name, value.clone());
    }
    let shown = |path: PathBuf| path.display().to_string();
    set("ABLATE_OUT", shown(job.work.clone()));
    set("ABLATE_CHECKPOINT", shown(job.work.join(CHECKPOINT)));
    set("ABLATE_PROGRESS", shown(job.work.join(PROGRESS)));
    set("ABLATE_NAME", job.name.clone());
    set("ABLATE_KEY", job.key.clone());
    set("ABLATE_ATTEMPT", job.attempt.to_string());
    set("ABLATE_DEVICE", job.device.clone());
    set("ABLATE_THREADS", job.threads.to_string());
    set("ABLATE_PARAMS", Value::Object(command.params.0.clone()).to_string());
    for (name, value) in &command.params.0 {
        set(&format!("ABLATE_PARAM_{}", variable_of(name)), spelled(value));
    }
    let mut listed = Map::new();
    for (role, several) in inputs {
        let (name, folders) = (format!("ABLATE_INPUT_{}", variable_of(role)), folders(several));
        set(&name, folders.join("\n"));
        if several[0].port != "out" {
            set(&format!("{name}_PORT"), several[0].port.clone());
        }
        if let Some(source) = &several[0].source {
            set(&format!("{name}_SOURCE"), shown(source.clone()));
        }
        listed.insert(role.clone(), json!(folders));
    }
    set("ABLATE_INPUTS", Value::Object(listed).to_string());
    all
}

/// The search path with the folder of this program at its end, so that programs can call it.
fn with_ours(path: Option<OsString>) -> Option<String> {
    let own = std::env::current_exe().ok()?;
    let places =
        path.iter().flat_map(std::env::split_paths).chain(own.parent().map(Path::to_owned));
    std::env::join_paths(places).ok()?.into_string().ok()
}

impl Told {
    /// The process, not started yet.
    pub(super) fn process(&self) -> Process {
        let words: Vec<&String> = self.prefix.iter().chain(&self.call).collect();
        self.start(&words)
    }

    fn start(&self, words: &[&String]) -> Process {
        let mut process = Process::new(self.place_of(words[0]));
        process.args(&words[1..]).envs(&self.variables).current_dir(&self.folder);
        for variable in NOT_PASSED_ON {
            process.env_remove(variable);
        }
        process
    }

    /// A program named by a path lies where the program runs; one named by a word is looked for as the shell does.
    fn place_of(&self, program: &str) -> PathBuf {
        match program.contains('/') {
            true => self.folder.join(program),
            false => program.into(),
        }
    }

    /// The program that is started first.
    pub(super) fn program(&self) -> &str {
        self.prefix.first().unwrap_or(&self.call[0])
    }

    /// Whether something else starts the program itself.
    pub(super) fn has_wrapper(&self) -> bool {
        self.is_shell || !self.prefix.is_empty()
    }

    /// What is called, short enough for a sentence.
    pub(super) fn called(&self) -> String {
        let whole = match self.is_shell {
            true => self.call[2]
                .lines()
                .find(|line| !line.trim().is_empty())
                .unwrap_or("")
                .trim()
                .to_owned(),
            false => self.call[..self.call.len().min(2)].join(" "),
        };
        match whole.char_indices().nth(60) {
            Some((end, _)) => format!("{}…", &whole[..end]),
            None => whole,
        }
    }

    /// How the Python that the program runs in is asked what it has, if it is one.
    fn python(&self) -> Option<Vec<String>> {
        let name = Path::new(&self.call[0]).file_name()?.to_str()?;
        let version = name.strip_prefix("python")?;
        version.chars().all(|c| c.is_ascii_digit() || c == '.').then(|| {
            let asked = ["-c".to_owned(), PACKAGES.to_owned()];
            self.prefix.iter().chain([&self.call[0]]).cloned().chain(asked).collect()
        })
    }
}

/// Prints the version of Python and of every package that it finds.
const PACKAGES: &str = "import json, sys, importlib.metadata as m
print(json.dumps({'version': sys.version.split()[0], 'executable': sys.executable,
 'packages': dict(sorted((d.metadata['Name'] or '?', d.version) for d in m.distributions()))}))";

/// How long a Python may take to say what it has.
const LONGEST: Duration = Duration::from_secs(20);

/// The surroundings of a program, for the record.
pub(super) struct Surroundings {
    told: Value,
    python: Option<std::thread::JoinHandle<Option<Value>>>,
}

/// The environment variables that are written down; others may hold secrets.
const SHOWN: [&str; 10] = [
    "PATH",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_HOME",
    "LOADEDMODULES",
    "OMP_NUM_THREADS",
];

impl Surroundings {
    /// Asks for them while the program runs.
    pub(super) fn capture(told: &Told, command: &Command) -> Self {
        let inherited =
            |name: &&str| told.variables.get(*name).cloned().or_else(|| std::env::var(name).ok());
        let variables: BTreeMap<&str, String> =
            SHOWN.iter().filter_map(|name| Some((*name, inherited(name)?))).collect();
        let words: Vec<&String> = told.prefix.iter().chain(&told.call).collect();
        let files: Vec<Value> = command
            .files
            .iter()
            .map(|file| json!({ "path": file.path, "blake3": file.blake3 }))
            .collect();
        let value = json!({
            "program": found_on_path(told.program(), &told.folder),
            "call": words,
            "folder": told.folder,
            "variables": variables,
            "set": command.environment.variables.0,
            "files": files,
        });
        let python = told.python().map(|words| {
            let mut process = told.start(&words.iter().collect::<Vec<_>>());
            let folder = told.folder.clone();
            std::thread::spawn(move || ask_once((folder, words), &mut process))
        });
        Self { told: value, python }
    }

    /// What is known of them.
    pub(super) fn value(self) -> Value {
        let mut value = self.told;
        if let Some(python) = self.python.and_then(|asked| asked.join().ok().flatten()) {
            value["python"] = python;
        }
        value
    }
}

/// The file that a word stands for, as the system looks for programs.
fn found_on_path(program: &str, folder: &Path) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(folder.join(program));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|place| place.join(program)).find(|file| file.is_file())
}

/// A Python, by the folder and the words with which it is asked.
type Asked = (PathBuf, Vec<String>);

/// What a Python says of itself; each is asked once.
fn ask_once(asked: Asked, process: &mut Process) -> Option<Value> {
    static KNOWN: Mutex<BTreeMap<Asked, Option<Value>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().ok()?;
    known.entry(asked).or_insert_with(|| ask(process)).clone()
}

fn ask(process: &mut Process) -> Option<Value> {
    // A file without a name, which nobody else can open and nothing leaves behind.
    let answer = tempfile::tempfile().ok()?;
    let file = answer.try_clone().ok()?;
    // In a group of its own: what the program leaves in ours ends with it.
    process.process_group(0).stdin(Stdio::null()).stdout(file).stderr(Stdio::null());
    let mut child = process.spawn().ok()?;
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().ok()? {
            Some(status) => break status,
            None if begun.elapsed() > LONGEST => {
                let _ = child.kill();
                break child.wait().ok()?;
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let text = files::tail_of(answer, 1 << 20);
    // Wrappers may say something first.
    status.success().then(|| text.lines().rev().find_map(|line| serde_json::from_str(line).ok()))?
}
