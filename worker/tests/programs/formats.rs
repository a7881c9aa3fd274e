//! The formats of the ecosystem, as the ecosystem's own programs see them: PyTorch, NumPy, pandas.

use crate::project::Project;
use ablate::npy;
use ablate_worker::{net, weights};
use std::path::Path;
use std::process::Command;
use tch::Tensor;

const SPEC: &str = "\
question: can others read it?
nodes:
  maps: { dataset: { log_normal_fields: { side: 16, maps: 32 } } }
  net:
    train:
      data: maps
      model: { unet: { width: 4, multipliers: [1, 2], groups: 2, attention: false } }
      batch: 4
      steps: 4
  draw: { sample: { from: net, sampler: { ddim: { steps: 2, clip: 3 } }, count: 4 } }
  score: { evaluate: { samples: draw, reference: maps, measures: [power_spectrum] } }
";

/// Runs a script in a folder; its output, or `None` where there is no Python.
fn run(folder: &Path, script: &str) -> Option<String> {
    let output = Command::new(crate::python::python()?)
        .args(["-c", script])
        .current_dir(folder)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{err}");
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn weights_arrays_and_rows_open_in_pytorch_numpy_and_pandas() {
    let project = Project::new(SPEC);
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let train = project.node("train");
    let script = "
import safetensors.torch, torch
for word in ('last', 'ema', 'best', 'best_ema'):
    tensors = safetensors.torch.load_file(word + '.safetensors')
    print(word, len(tensors), sum(t.numel() for t in tensors.values()), float(sum(t.double().abs().sum() for t in tensors.values())))
convolution = torch.nn.Conv2d(1, 4, 1)
state = {name.removeprefix('init_conv.'): t for name, t in tensors.items() if name.startswith('init_conv.')}
convolution.load_state_dict(state)
";
    let Some(said) = run(&train, script) else { return };
    for line in said.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (tensors, _) = weights::read(&train.join(format!("{}.safetensors", words[0]))).unwrap();
        let sum: f64 =
            tensors.values().map(|t| t.abs().sum(tch::Kind::Double).double_value(&[])).sum();
        assert_eq!(words[1].parse::<usize>().unwrap(), tensors.len());
        assert_eq!(words[2].parse::<usize>().unwrap(), net::count(&tensors));
        assert!((words[3].parse::<f64>().unwrap() / sum - 1.0).abs() < 1e-9, "{line} {sum}");
    }
    let script = "
import glob, json, numpy, pandas, sqlite3
for path in sorted(glob.glob('results/nodes/*/*.npy')):
    array = numpy.load(path, mmap_mode='r', allow_pickle=False)
    assert array.flags.c_contiguous and array.ndim >= 1, path
samples = numpy.load(glob.glob('results/nodes/sample-*/samples.npy')[0])
assert samples.dtype == numpy.float32 and samples.shape == (4, 1, 16, 16)
spectra = numpy.load(glob.glob('results/nodes/evaluate-*/spectra.npy')[0])
assert spectra.dtype == numpy.float64 and spectra.shape == (4, 8)
database = sqlite3.connect('results/ablate.sqlite')
frame = pandas.read_sql('select * from results_by_axis', database)
error = frame.set_index(['declared', 'metric']).value['score.power_spectrum', 'error']
metrics = json.load(open(glob.glob('results/nodes/evaluate-*/metrics.json')[0]))
assert error == metrics['error']['value']
for view in ('results', 'results_by_axis', 'costs'):
    assert len(pandas.read_sql('select * from ' + view, database)) > 0, view
history = pandas.read_csv(glob.glob('results/nodes/train-*/history.csv')[0])
assert list(history.columns)[:2] == ['step', 'loss'] and len(history) == 4
print('read')
";
    assert_eq!(run(&project.path("."), script).as_deref(), Some("read"));
}

#[test]
fn weights_and_arrays_from_python_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let script = "
import numpy, safetensors.torch, torch
x = torch.arange(6).reshape(2, 3) / 4 - 0.5
tensors = {str(kind).split('.')[1]: x.to(kind) for kind in (torch.float16, torch.bfloat16, torch.float32, torch.float64)}
safetensors.torch.save_file(tensors, 'w.safetensors', metadata={'format': 'pt'})
for name in ('<f2', '>f4', '<f4', '>f8', '|u1', '<i8'):
    numpy.save(name[1:] + ('b' if name[0] == '>' else '') + '.npy', (x.numpy() * 4 + 2).astype(name))
numpy.save('fortran.npy', numpy.asfortranarray(x.numpy()))
numpy.save('objects.npy', numpy.array([{}, 1], dtype=object), allow_pickle=True)
numpy.save('records.npy', numpy.zeros(3, dtype=[('a', '<f4')]))
";
    if run(folder.path(), script).is_none() {
        return;
    }
    let (tensors, metadata) = weights::read(&folder.path().join("w.safetensors")).unwrap();
    assert_eq!((tensors.len(), metadata), (4, serde_json::Value::Null));
    let want = Tensor::from_slice(&[-0.5, -0.25, 0.0, 0.25, 0.5, 0.75]).view([2, 3]);
    for (name, tensor) in tensors {
        assert!(tensor.to_kind(tch::Kind::Double).equal(&want), "{name}");
    }
    for name in ["f2", "f4b", "f4", "f8b", "u1", "i8"] {
        let array = npy::read_f64(&folder.path().join(format!("{name}.npy"))).unwrap();
        assert_eq!(
            (array.shape, array.data),
            (vec![2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
            "{name}"
        );
    }
    for (name, what) in [
        ("fortran", "Fortran order"),
        ("objects", "never as objects"),
        ("records", "not read here"),
    ] {
        let refused = npy::read_f64(&folder.path().join(format!("{name}.npy"))).unwrap_err();
        assert!(refused.to_string().contains(what), "{refused}");
    }
}
