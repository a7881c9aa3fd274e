//! Every kind of dataset through both programs, from the spec to the published node.

use crate::project::{Project, json};
use ablate::npy;
use std::path::Path;

/// An array of `[n, side, side]` positive numbers, different everywhere.
fn density(n: usize, side: usize) -> Vec<f64> {
    (0..n * side * side).map(|i| 1.0 + (i * 7919 % 1000) as f64 / 250.0).collect()
}

fn read(path: &Path) -> Vec<f64> {
    npy::read_f64(path).unwrap().data
}

/// A spec with one dataset and all that follows from it, in very small.
fn whole(dataset: &str) -> String {
    format!(
        "\
question: does it run on these data?
nodes:
  data: {{ dataset: {dataset} }}
  net:
    train:
      data: data
      model: {{ unet: {{ width: 4, multipliers: [1, 2], groups: 2, attention: false }} }}
      batch: 4
      steps: 3
      validation: {{ every: 2, items: 4 }}
  draw: {{ sample: {{ from: net, sampler: {{ ddim: {{ steps: 2, clip: 3 }} }}, count: 4 }} }}
"
    )
}

fn only(dataset: &str) -> String {
    format!("question: can the data be made?\nnodes: {{ data: {{ dataset: {dataset} }} }}\n")
}

#[test]
fn an_array_is_used_where_it_lies_and_split_by_groups() {
    let spec = whole(
        "{ npy: { file: maps.npy, parameters: p.txt, labels: l.npy, group: 3, box_mpc_h: 25, units: counts, validation: 0.2, test: 0.2 } }",
    ) + "  score: { evaluate: { samples: draw, reference: data, measures: [power_spectrum] } }\n";
    let project = Project::new(&spec);
    let maps = density(30, 8);
    npy::write_f64(&project.path("maps.npy"), &[30, 8, 8], &maps).unwrap();
    let labels: Vec<i64> = (0..30).map(|i| i % 4).collect();
    npy::write_i64(&project.path("l.npy"), &[30], &labels).unwrap();
    let text: String = (0..10).map(|g| format!("{g} {}\n", 2 * g)).collect();
    project.write("p.txt", format!("# a b\n{text}").as_bytes());
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let node = project.node("dataset");
    let size: u64 =
        std::fs::read_dir(&node).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(size < 12_000 && !node.join("train.npy").exists(), "{size}: the array is not copied");
    let mut all = vec![];
    for (split, count) in [("train", 18), ("validation", 6), ("test", 6)] {
        let index = read(&node.join(format!("{split}.index.npy")));
        assert_eq!(index.len(), count);
        for group in index.chunks_exact(3) {
            assert!(group[0] % 3.0 == 0.0 && group[2] == group[0] + 2.0, "{group:?}");
        }
        let parameters = read(&node.join(format!("{split}.parameters.npy")));
        let want: Vec<f64> =
            index.iter().flat_map(|i| [(i / 3.0).floor(), 2.0 * (i / 3.0).floor()]).collect();
        assert_eq!(parameters, want);
        let own = read(&node.join(format!("{split}.labels.npy")));
        assert!(own.iter().zip(&index).all(|(label, i)| *label == i % 4.0));
        all.extend(index);
    }
    let shuffled = all.clone();
    all.sort_by(f64::total_cmp);
    assert_eq!(all, (0..30).map(f64::from).collect::<Vec<_>>());
    assert_ne!(all, shuffled, "the groups are shuffled");
    let manifest = json(&node.join("dataset.json"));
    assert_eq!(manifest["parameters"][1]["name"], "b");
    assert_eq!((&manifest["classes"], &manifest["units"]), (&4.into(), &"counts".into()));
    let train: Vec<f64> = shuffled[..18]
        .iter()
        .flat_map(|i| maps[*i as usize * 64..(*i as usize + 1) * 64].to_vec())
        .collect();
    let mean = train.iter().sum::<f64>() / train.len() as f64;
    assert!((manifest["transform"]["shift"].as_f64().unwrap() - mean).abs() < 1e-12);
    // The same content elsewhere is the same dataset, and still found by those who read it.
    std::fs::rename(project.path("maps.npy"), project.path("moved.npy")).unwrap();
    let moved = spec.replace("maps.npy", "moved.npy").replace("steps: 3", "steps: 4");
    project.write("spec.yaml", moved.as_bytes());
    project.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!((project.nodes("dataset").len(), project.nodes("train").len()), (1, 2));
    // Other content is another dataset.
    npy::write_f64(&project.path("moved.npy"), &[30, 8, 8], &density(31, 8)[64..]).unwrap();
    let plan = project.ablate(&["plan", "spec.yaml"]).expect(0);
    let row = plan.out.lines().find(|line| line.starts_with("dataset     ")).unwrap();
    let counts: Vec<&str> = row.split_whitespace().skip(1).take(4).collect();
    assert_eq!(counts, ["1", "–", "–", "–"], "{}", plan.out);
}

#[test]
fn an_array_of_several_channels_that_is_not_square_is_trained_on_and_drawn() {
    let project = Project::new(&whole("{ npy: { file: a.npy, transform: bytes } }"));
    let bytes: Vec<u8> = (0..20 * 3 * 8 * 12).map(|i| (i % 251) as u8).collect();
    npy::write_u8(&project.path("a.npy"), &[20, 3, 8, 12], &bytes).unwrap();
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let samples = npy::read_f64(&project.node("sample").join("samples.npy")).unwrap();
    assert_eq!(samples.shape, [4, 3, 8, 12]);
    assert!(samples.data.iter().all(|x| (0.0..=255.0).contains(x)));
}

#[test]
fn camels_maps_are_split_by_simulation_with_their_parameters() {
    let project = Project::new(&only(
        "{ camels_cmd: { maps: Maps_Mcdm.npy, parameters: params.txt, validation: 0.2, test: 0.2 } }",
    ));
    npy::write_f64(&project.path("Maps_Mcdm.npy"), &[75, 8, 8], &density(75, 8)).unwrap();
    let rows: String = (0..5).map(|s| format!("0.{s}1 0.8 1 2 3 4\n")).collect();
    let text = format!("# Om\tsigma8\tSN1\tAGN1\tSN2\tAGN2\n{rows}");
    project.write("params.txt", text.as_bytes());
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let node = project.node("dataset");
    assert_eq!(read(&node.join("test.index.npy")), (60..75).map(f64::from).collect::<Vec<_>>());
    let parameters = npy::read_f64(&node.join("test.parameters.npy")).unwrap();
    assert_eq!(parameters.shape, [15, 6]);
    assert!(parameters.data.chunks_exact(6).all(|row| row == [0.41, 0.8, 1.0, 2.0, 3.0, 4.0]));
    let manifest = json(&node.join("dataset.json"));
    assert_eq!(manifest["parameters"][3]["name"], "a_agn1");
    assert_eq!(manifest["box_mpc_h"], 25.0);
}

#[test]
fn particle_mesh_maps_have_conditions_and_the_mean_density_of_their_universe() {
    let project = Project::new(&only(
        "{ particle_mesh_fields: { side: 16, simulations: 5, steps: 3, slabs: 2, validation: 0.2, test: 0.2 } }",
    ));
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let node = project.node("dataset");
    let maps = npy::read_f64(&node.join("train.npy")).unwrap();
    assert_eq!(maps.shape, [18, 1, 16, 16]);
    let conditions = read(&node.join("train.parameters.npy"));
    for (sim, maps) in maps.data.chunks_exact(6 * 256).enumerate() {
        let omega_m = conditions[sim * 12];
        assert!((0.1..0.5).contains(&omega_m));
        // Two slabs of one axis hold all matter of the box: 12.5 Mpc/h each.
        let mean = maps[..512].iter().sum::<f64>() / 512.0;
        let want = 2.775_366_27e11 * (omega_m - 0.049) * 12.5;
        assert!((mean / want - 1.0).abs() < 0.05, "{mean:e} {want:e}");
    }
}

#[test]
fn gaussian_maps_have_the_mean_itself_and_no_skewness() {
    let project =
        Project::new(&only("{ gaussian_fields: { side: 16, maps: 250, slab_mpc_h: 5 } }"));
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let maps = npy::read_f64(&project.node("dataset").join("train.npy")).unwrap();
    assert_eq!(maps.shape, [200, 1, 16, 16]);
    for map in maps.data.chunks_exact(256) {
        let mean = map.iter().sum::<f64>() / 256.0;
        assert!((mean - 1.0).abs() < 1e-5, "{mean}");
    }
    let moment =
        |n: i32| maps.data.iter().map(|x| (x - 1.0).powi(n)).sum::<f64>() / maps.data.len() as f64;
    let (skewness, kurtosis) = (moment(3) / moment(2).powf(1.5), moment(4) / moment(2).powi(2));
    assert!(skewness.abs() < 0.1 && (kurtosis - 3.0).abs() < 0.2, "{skewness} {kurtosis}");
    assert!(maps.data.iter().any(|x| *x < 0.0));
}

#[test]
fn one_parameter_varies_at_a_time_in_maps_by_perturbation_theory() {
    let lpt = |order: &str| {
        let project = Project::new(&only(&format!(
            "{{ lpt_fields: {{ side: 16, simulations: 8, slabs: 2, order: {order}, design: one_parameter, validation: 0, test: 0.125 }} }}"
        )));
        project.ablate(&["run", "spec.yaml"]).expect(0);
        let node = project.node("dataset");
        let maps = npy::read_f64(&node.join("train.npy")).unwrap();
        assert_eq!(maps.shape, [42, 1, 16, 16]);
        (maps.data, read(&node.join("train.parameters.npy")))
    };
    let (maps, conditions) = lpt("second");
    let of = |sim: usize| &conditions[sim * 12..sim * 12 + 2];
    for (sim, want) in [[0.1, 0.8], [0.5, 0.8], [0.3, 0.6]].into_iter().zip([0, 3, 4]) {
        let far = of(want).iter().zip(sim).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far < 1e-12, "{:?}", of(want));
    }
    // One seed: whatever the universe, mass lies in the same places.
    let logs = |sim: usize| maps[sim * 1536..sim * 1536 + 256].iter().map(|x| x.ln());
    let mean = |sim: usize| logs(sim).sum::<f64>() / 256.0;
    let product = |a: usize, b: usize| {
        logs(a).zip(logs(b)).map(|(x, y)| (x - mean(a)) * (y - mean(b))).sum::<f64>()
    };
    let alike = product(4, 6) / (product(4, 4) * product(6, 6)).sqrt();
    assert!(alike > 0.8, "{alike}");
    assert_ne!(lpt("first").0, maps);
}

#[test]
fn cifar_is_found_as_published_and_told_where_it_belongs_if_not() {
    let project = Project::new(&only("{ cifar10: { folder: data, validation: 0.02 } }"));
    let said = project.command(&["run", "spec.yaml"]).env_remove("ABLATE_DATA").output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("cifar-10-batches-bin/data_batch_1.bin is there"), "{said}");
    std::fs::create_dir_all(project.path("data/cifar-10-batches-bin")).unwrap();
    let record = |i: usize| {
        let mut record = vec![(i % 10) as u8];
        record.extend((0..3072).map(|pixel| (i + pixel / 1024 * 50) as u8));
        record
    };
    let file: Vec<u8> = (0..10_000).flat_map(record).collect();
    let names = (1..=5).map(|i| format!("data_batch_{i}.bin")).chain(["test_batch.bin".to_owned()]);
    for name in names {
        project.write(&format!("data/cifar-10-batches-bin/{name}"), &file);
    }
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let node = project.node("dataset");
    let images = npy::Mapped::open(&node.join("validation.npy")).unwrap();
    assert_eq!(images.header.shape, [1000, 3, 32, 32]);
    // The first to validate is the 49,000th, the 9,000th of the last file.
    let pixels: Vec<f64> = images.numbers(0, 3072).step_by(1024).collect();
    assert_eq!(pixels, [9000 % 256, 9050 % 256, 9100 % 256].map(f64::from));
    assert_eq!(
        read(&node.join("test.labels.npy"))[..12],
        [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 0., 1.]
    );
    // A file that is cut short is told.
    project.write("data/cifar-10-batches-bin/test_batch.bin", &file[1..]);
    let said = project.ablate(&["run", "spec.yaml", "--only", "data", "--fresh"]).expect(1);
    assert!(said.err.contains("bytes instead of 30730000"), "{}", said.err);
}

#[test]
fn glyphs_are_bytes_with_labels_and_an_interruption_changes_nothing() {
    let spec = only("{ glyph_digits: { images: 900, pad: 2 } }");
    let project = Project::new(&spec);
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let node = project.node("dataset");
    let images = npy::read_f64(&node.join("test.npy")).unwrap();
    assert_eq!(images.shape, [90, 1, 32, 32]);
    assert!(images.data.iter().all(|x| x.fract() == 0.0 && (0.0..=255.0).contains(x)));
    assert!(read(&node.join("train.labels.npy")).iter().all(|label| (0.0..10.0).contains(label)));
    let disturbed = Project::new(&spec);
    for wait in [700, 1000, 1300, 1600] {
        let mut child = disturbed.start(&["run", "spec.yaml"]);
        std::thread::sleep(std::time::Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    disturbed.ablate(&["run", "spec.yaml"]).expect(0);
    let digests =
        |project: &Project| json(&project.node("dataset").join("node.json"))["artefacts"].clone();
    assert_eq!(digests(&project), digests(&disturbed));
}

/// A file in the format of MNIST.
fn idx(magic: u32, shape: &[u32], data: &[u8]) -> Vec<u8> {
    let header =
        [magic].iter().chain(shape).flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    [header, data.to_vec()].concat()
}

#[test]
fn files_in_the_format_of_mnist_become_images_and_labels() {
    let project = Project::new(&whole(
        "{ idx: { images: i, labels: l, test_images: ti, test_labels: tl, pad: 2, validation: 0.2 } }",
    ));
    let pixels = |n: usize| (0..n * 16).map(|i| (i % 256) as u8).collect::<Vec<u8>>();
    project.write("i", &idx(0x803, &[20, 4, 4], &pixels(20)));
    project.write("l", &idx(0x801, &[20], &(0..20).map(|i| i % 3).collect::<Vec<u8>>()));
    project.write("ti", &idx(0x803, &[5, 4, 4], &pixels(5)));
    project.write("tl", &idx(0x801, &[5], &[0, 1, 2, 3, 4]));
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let node = project.node("dataset");
    let validation = npy::read_f64(&node.join("validation.npy")).unwrap();
    assert_eq!(validation.shape, [4, 1, 8, 8]);
    // Image 16 of the train file, two pixels in from each edge.
    assert_eq!((validation.data[0], validation.data[2 * 8 + 3]), (0.0, 1.0));
    assert_eq!(read(&node.join("validation.labels.npy")), [1.0, 2.0, 0.0, 1.0]);
    assert_eq!(json(&node.join("dataset.json"))["classes"], 5);
    project.write("tl", &idx(0x801, &[4], &[0, 1, 2, 3]));
    let said = project.ablate(&["run", "spec.yaml"]).expect(1);
    assert!(
        said.err.contains("holds 5 images") && said.err.contains("[bad_input]"),
        "{}",
        said.err
    );
}

#[test]
fn a_known_set_without_a_network_says_where_to_put_which_file() {
    let project = Project::new(&only("{ idx: { set: fashion_mnist, folder: data } }"));
    // Nobody listens at port 9 of this machine.
    let ask = || {
        let mut command = project.command(&["run", "spec.yaml"]);
        let output = command.env("ABLATE_MIRROR", "http://127.0.0.1:9").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = ask();
    assert!(said.contains("put train-images-idx3-ubyte.gz into"), "{said}");
    assert!(said.contains("data/FashionMNIST/raw"), "{said}");
    std::fs::create_dir_all(project.path("data")).unwrap();
    project.write("data/train-images-idx3-ubyte.gz", b"not what was published");
    assert!(ask().contains("is damaged, or another file: its SHA-256 is"), "a wrong sum is told");
}

/// A `.npy` file with this header and these numbers.
fn array(descr: &str, fortran: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(numbers);
    bytes
}

#[test]
fn arrays_that_cannot_be_read_are_refused_with_a_place_before_anything_starts() {
    let numbers = [0_u8; 16 * 64 * 4];
    let cases = [
        (
            "truncated",
            array("'<f4'", "False", "(17, 8, 8)", &numbers),
            "is shorter than its header says",
        ),
        ("of objects", array("'|O'", "False", "(16, 8, 8)", &numbers), "never as objects"),
        (
            "in Fortran order",
            array("'<f4'", "True", "(16, 8, 8)", &numbers),
            "numpy.ascontiguousarray",
        ),
        ("of one dimension", array("'<f4'", "False", "(16,)", &numbers), "[n, h, w] is needed"),
        ("a pickle", b"\x80\x04\x95not numbers".to_vec(), "is not an array in NumPy's format"),
        ("empty", vec![], "is too short to be an array"),
        (
            "of lies",
            array("'<f4'", "False", "(99999999999, 99999999999)", b""),
            "shorter than its header",
        ),
    ];
    for (name, bytes, what) in cases {
        let project = Project::new(&only("{ npy: { file: a.npy } }"));
        project.write("a.npy", &bytes);
        let said = project.ablate(&["run", "spec.yaml"]).expect(2);
        assert!(
            said.err.contains("spec.yaml:2:") && said.err.contains(what),
            "{name}: {}",
            said.err
        );
        assert!(!project.path("results").exists(), "{name}: nothing was started");
    }
    let absent = Project::new(&only("{ npy: { file: a.npy } }")).ablate(&["check", "spec.yaml"]);
    assert!(absent.expect(2).err.contains("a.npy is not there"));
}

#[test]
fn values_that_no_network_may_see_fail_the_node_and_name_their_place() {
    let mut nan = density(20, 8);
    nan[5 * 64 + 3 * 8 + 2] = f64::NAN;
    let mut negative = density(20, 8);
    negative[7 * 64 + 8] = -0.5;
    let cases = [
        ("zscore", nan, "item 5 holds NaN in channel 0, row 3, column 2", "clean the data"),
        (
            "log_zscore",
            negative.clone(),
            "item 7 holds -0.5 in channel 0, row 1, column 0",
            "takes the logarithm",
        ),
    ];
    for (transform, values, place, help) in cases {
        let spec = only(&format!("{{ npy: {{ file: a.npy, transform: {transform} }} }}"));
        let project = Project::new(&spec);
        npy::write_f64(&project.path("a.npy"), &[20, 8, 8], &values).unwrap();
        let said = project.ablate(&["run", "spec.yaml"]).expect(1);
        assert!(said.err.contains(place) && said.err.contains(help), "{}", said.err);
        assert!(project.nodes("dataset").is_empty());
    }
    let project = Project::new(&only("{ npy: { file: a.npy, transform: minmax } }"));
    npy::write_f64(&project.path("a.npy"), &[20, 8, 8], &negative).unwrap();
    project.ablate(&["run", "spec.yaml"]).expect(0);
}

#[test]
fn parameters_that_do_not_fit_their_array_fail_the_node_with_the_line() {
    for (text, what) in [
        ("1 2\n3 4\n", "p.txt has 2 lines (20 items or 20 groups need as many)"),
        ("1 2\n3 x\n", "p.txt:2: `x` is not a finite number"),
        ("", "p.txt:1: there are no numbers"),
    ] {
        let project = Project::new(&only("{ npy: { file: a.npy, parameters: p.txt } }"));
        npy::write_f64(&project.path("a.npy"), &[20, 8, 8], &density(20, 8)).unwrap();
        project.write("p.txt", text.as_bytes());
        let said = project.ablate(&["run", "spec.yaml"]).expect(1);
        assert!(said.err.contains(what), "{what}: {}", said.err);
    }
}

/// An archive of arrays as NumPy writes it.
fn npz(path: &Path, arrays: &[(&str, &Path)]) {
    let mut out = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, array) in arrays {
        let options = zip::write::SimpleFileOptions::default();
        out.start_file(format!("{name}.npy"), options).unwrap();
        std::io::Write::write_all(&mut out, &std::fs::read(array).unwrap()).unwrap();
    }
    out.finish().unwrap();
}

#[test]
fn archives_and_folders_of_arrays_are_one_dataset_known_by_its_content() {
    let project =
        Project::new(&whole("{ npy: { file: maps, parameters: p.txt, shuffle: false } }"));
    std::fs::create_dir(project.path("maps")).unwrap();
    let (maps, at) = (density(20, 8), |name: &str| project.path(name));
    npy::write_f64(&at("maps/a.npy"), &[12, 8, 8], &maps[..12 * 64]).unwrap();
    npy::write_f64(&at("rest"), &[7, 8, 8], &maps[12 * 64..19 * 64]).unwrap();
    npz(&at("maps/b.npz"), &[("fields", &at("rest"))]);
    npy::write_f64(&at("maps/c.npy"), &[8, 8], &maps[19 * 64..]).unwrap();
    project.write("p.txt", (0..20).map(|i| format!("{i}\n")).collect::<String>().as_bytes());
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let node = project.node("dataset");
    let items = read(&node.join("items.npy"));
    assert!(items.iter().zip(&maps).all(|(got, want)| (got - want).abs() < 1e-6));
    assert_eq!(read(&node.join("test.index.npy")), [18.0, 19.0]);
    assert_eq!(read(&node.join("test.parameters.npy")), [18.0, 19.0]);
    // Elsewhere the same files are the same data; with another item they are not.
    std::fs::rename(at("maps"), at("moved")).unwrap();
    project.write(
        "spec.yaml",
        whole("{ npy: { file: moved, parameters: p.txt, shuffle: false } }").as_bytes(),
    );
    let again = project.ablate(&["run", "spec.yaml"]).expect(0);
    assert!(again.err.contains("0 nodes to run"), "{}", again.err);
    npy::write_f64(&at("moved/c.npy"), &[8, 8], &maps[..64]).unwrap();
    let changed = project.ablate(&["plan", "spec.yaml"]).expect(0);
    assert!(!changed.out.contains("0 nodes to run"), "{}", changed.out);
}

#[test]
fn a_folder_of_images_has_its_folders_for_classes() {
    let dataset = "{ image_folder: { folder: pictures, side: 8, validation: 0.2, test: 0.2 } }";
    let project = Project::new(&whole(dataset));
    for (class, red) in [("bright", 240_u8), ("dark", 10)] {
        std::fs::create_dir_all(project.path(&format!("pictures/{class}"))).unwrap();
        for i in 0..10_u32 {
            // Wider than high, its middle of one colour and its margins of another.
            let image = image::RgbImage::from_fn(24, 16, |x, _| {
                let inside = (4..20).contains(&x);
                image::Rgb(if inside { [red, i as u8, 0] } else { [0, 255, 255] })
            });
            let ending = if i % 2 == 0 { "png" } else { "PNG" };
            image
                .save_with_format(
                    project.path(&format!("pictures/{class}/{i:02}.{ending}")),
                    image::ImageFormat::Png,
                )
                .unwrap();
        }
    }
    project.ablate(&["run", "spec.yaml"]).expect(0);
    let node = project.node("dataset");
    let items = npy::read_f64(&node.join("items.npy")).unwrap();
    assert_eq!(items.shape, [20, 3, 8, 8]);
    for (i, item) in items.data.chunks(192).enumerate() {
        let want = [if i < 10 { 240.0 } else { 10.0 }, (i % 10) as f64, 0.0];
        assert!(item.chunks(64).zip(want).all(|(plane, want)| plane.iter().all(|x| *x == want)));
    }
    for split in ["train", "validation", "test"] {
        let index = read(&node.join(format!("{split}.index.npy")));
        let labels = read(&node.join(format!("{split}.labels.npy")));
        assert!(index.iter().zip(labels).all(|(i, label)| (*i >= 10.0) == (label == 1.0)));
    }
    assert_eq!(json(&node.join("classes.json")), serde_json::json!(["bright", "dark"]));
    assert_eq!(json(&node.join("dataset.json"))["classes"], 2);
    project.write("pictures/dark/99.png", b"\x89PNG but no picture");
    let said = project.ablate(&["run", "spec.yaml"]).expect(1);
    assert!(said.err.contains("99.png is no image that can be read"), "{}", said.err);
}
