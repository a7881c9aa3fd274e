//! Tests of what all networks have in common.

use super::*;
use crate::random::Stream;
use ablate::settings::{
    Adm, Dit, Padding, Precision, SimpleUnet as SimpleSettings, Unet as UnetSettings,
};
use tch::{Device, Kind};

fn unet(padding: Padding, attention: bool) -> Model {
    let multipliers = vec![1, 2, 2];
    Model::Unet(UnetSettings {
        width: 8,
        multipliers,
        padding,
        attention,
        ..UnetSettings::default()
    })
}

fn simple(padding: Padding) -> Model {
    Model::SimpleUnet(SimpleSettings { width: 6, multipliers: vec![1, 2], time_width: 8, padding })
}

fn adm(padding: Padding) -> Model {
    Model::Adm(Adm {
        width: 4,
        multipliers: vec![1, 2, 2],
        blocks: 1,
        attention_side: 8,
        head_width: 4,
        groups: 2,
        padding,
        self_condition: false,
    })
}

fn dit() -> Model {
    Model::Dit(Dit { size: None, patch: 4, width: Some(16), depth: Some(2), heads: Some(2) })
}

fn task(channels: i64, side: i64, told: Option<Told>) -> Task {
    Task { channels, sides: Sides { height: side, width: side }, told, classes: None }
}

/// A network with all its parameters drawn anew, those too that start at zero.
fn stirred(model: &Model, task: &Task) -> (nn::VarStore, Box<dyn Network>) {
    let mut store = nn::VarStore::new(Device::Cpu);
    let net = build(model, task, &store.root()).unwrap();
    initialise(net.as_ref(), &store, 3);
    for (name, tensor) in parameters(&state(&store)) {
        let size = tensor.size();
        let mut stream = Stream::new(0, "test", crate::random::hash(&name));
        let more = Tensor::from_slice(&stream.normal_f32(tensor.numel())).view(size.as_slice());
        no_grad(|| drop(tensor.shallow_clone().g_add_(&(more * 0.1))));
    }
    store.double();
    (store, net)
}

fn random(shape: [i64; 4]) -> Tensor {
    let numbers = shape.iter().product::<i64>() as usize;
    let x = Tensor::from_slice(&Stream::new(0, "test", 0).normal_f32(numbers));
    x.view(shape).to_kind(Kind::Double)
}

fn far(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

/// How far a network is from commuting with a shift by (4, 8) pixels, and by (1, 3).
fn shift_errors(model: &Model) -> [f64; 2] {
    let (_store, net) = stirred(model, &task(2, 16, None));
    let (x, t) = (random([2, 2, 16, 16]), Tensor::from_slice(&[3_i64, 700]));
    [[4_i64, 8], [1, 3]].map(|shift| {
        let roll = |x: &Tensor| x.roll(shift.as_slice(), [2_i64, 3].as_slice());
        let moved = net.forward(&Input::new(&roll(&x), &t));
        far(&roll(&net.forward(&Input::new(&x, &t))), &moved)
    })
}

#[test]
fn a_circular_network_commutes_with_shifts_that_its_levels_divide() {
    let circular = Padding::Circular;
    for model in [unet(circular, true), unet(circular, false), adm(circular), simple(circular)] {
        let [whole, odd] = shift_errors(&model);
        assert!(whole < 1e-12, "{model:?}: {whole}");
        assert!(odd > 1e-6, "{model:?}: {odd}");
    }
}

#[test]
fn other_networks_see_where_the_edge_is() {
    for model in [unet(Padding::Zero, true), adm(Padding::Zero), simple(Padding::Zero), dit()] {
        let [whole, _] = shift_errors(&model);
        assert!(whole > 1e-4, "{model:?}: {whole}");
    }
}

#[test]
fn sides_that_a_network_does_not_divide_are_refused_in_one_sentence() {
    for model in [unet(Padding::Zero, true), adm(Padding::Zero), simple(Padding::Zero), dit()] {
        let check = |height, width| check_sides(&model, Sides { height, width });
        assert!(check(28, 28).is_ok() && check(28, 32).is_ok());
        let sentence = check(28, 30).unwrap_err().to_string();
        assert!(sentence.contains("28 x 30") && sentence.contains("divisible by 4"), "{sentence}");
        assert!(check(0, 28).is_err());
    }
}

#[test]
fn the_smallest_side_that_is_accepted_can_be_evaluated() {
    let models = [Padding::Zero, Padding::Circular].map(|p| [unet(p, true), adm(p), simple(p)]);
    for model in models.into_iter().flatten().chain([dit()]) {
        let (_store, net) = stirred(&model, &task(1, 4, None));
        let x = Tensor::ones([2, 1, 4, 4], (Kind::Double, Device::Cpu));
        let out = net.forward(&Input::new(&x, &Tensor::from_slice(&[5_i64, 6])));
        assert_eq!(out.size(), [2, 1, 4, 4]);
        assert!(out.abs().max().double_value(&[]).is_finite());
    }
}

#[test]
fn maps_need_not_be_square() {
    for model in
        [unet(Padding::Circular, true), adm(Padding::Circular), simple(Padding::Circular), dit()]
    {
        let task = Task { sides: Sides { height: 8, width: 12 }, ..task(1, 8, None) };
        let (_store, net) = stirred(&model, &task);
        let out = net.forward(&Input::new(&random([1, 1, 8, 12]), &Tensor::from_slice(&[5_i64])));
        assert_eq!(out.size(), [1, 1, 8, 12]);
    }
}

#[test]
fn networks_hear_the_time() {
    for model in [unet(Padding::Zero, true), adm(Padding::Zero), simple(Padding::Zero), dit()] {
        let (_store, net) = stirred(&model, &task(1, 8, None));
        let x = Tensor::ones([2, 1, 8, 8], (Kind::Double, Device::Cpu));
        let out = net.forward(&Input::new(&x, &Tensor::from_slice(&[5_i64, 900])));
        assert!(far(&out.get(0), &out.get(1)) > 1e-3);
    }
}

#[test]
fn networks_hear_conditions_and_their_absence() {
    for model in [unet(Padding::Zero, true), adm(Padding::Zero), simple(Padding::Zero), dit()] {
        for what in [What::Classes(3), What::Parameters(2)] {
            let told = Some(Told { what, or_nothing: true });
            let (_store, net) = stirred(&model, &task(1, 8, told));
            let x = Tensor::ones([3, 1, 8, 8], (Kind::Double, Device::Cpu));
            let values = match what {
                What::Classes(_) => Tensor::from_slice(&[0_i64, 2, 2]),
                What::Parameters(_) => {
                    Tensor::from_slice(&[0.0, 0.0, 0.5, 1.0, 0.5, 1.0]).view([3, 2])
                }
            };
            let condition =
                Condition::new(values).without(Tensor::from_slice(&[false, false, true]));
            let t = Tensor::from_slice(&[5_i64; 3]);
            let out = net.forward(&Input { condition: Some(&condition), ..Input::new(&x, &t) });
            assert!(far(&out.get(0), &out.get(1)) > 1e-4, "{model:?} {what:?}");
            assert!(far(&out.get(1), &out.get(2)) > 1e-4, "{model:?} {what:?}");
        }
    }
}

#[test]
fn a_network_that_looks_back_sees_what_was_predicted_and_zeros_at_first() {
    let models = [unet(Padding::Zero, true), adm(Padding::Zero)].map(|model| match model {
        Model::Unet(settings) => Model::Unet(UnetSettings { self_condition: true, ..settings }),
        Model::Adm(settings) => Model::Adm(Adm { self_condition: true, ..settings }),
        other => other,
    });
    for model in models {
        let (_store, net) = stirred(&model, &task(1, 8, None));
        assert!(net.looks_back());
        let (x, t) = (random([2, 1, 8, 8]), Tensor::from_slice(&[5_i64, 6]));
        let ask = |earlier: Option<&Tensor>| net.forward(&Input { earlier, ..Input::new(&x, &t) });
        let (zeros, ones) = (ask(Some(&x.zeros_like())), ask(Some(&x.ones_like())));
        assert_eq!(far(&ask(None), &zeros), 0.0);
        assert!(far(&zeros, &ones) > 1e-3);
    }
}

/// A network as training starts it, and what it then says of ones.
fn fresh(model: &Model) -> (Tensors, Tensor) {
    let store = nn::VarStore::new(Device::Cpu);
    let net = build(model, &task(1, 8, None), &store.root()).unwrap();
    initialise(net.as_ref(), &store, 3);
    let x = Tensor::ones([2, 1, 8, 8], (Kind::Float, Device::Cpu));
    let out = net.forward(&Input::new(&x, &Tensor::from_slice(&[5_i64, 900])));
    (state(&store), out)
}

#[test]
fn a_fresh_adm_says_nothing_and_has_the_parameters_counted_by_hand() {
    let (all, out) = fresh(&adm(Padding::Zero));
    assert_eq!(out.abs().max().double_value(&[]), 0.0);
    assert!(all["downs.0.block.conv1.weight"].abs().max().double_value(&[]) > 0.1);
    let conv = |from: usize, to: usize| 9 * from * to + to;
    let block = |from: usize, to: usize| {
        let shortcut = if from == to { 0 } else { from * to + to };
        2 * from + conv(from, to) + 16 * 2 * to + 2 * to + 2 * to + conv(to, to) + shortcut
    };
    let attention = |c: usize| 2 * c + 3 * c * c + 3 * c + c * c + c;
    let time = 4 * 16 + 16 + 16 * 16 + 16;
    // Sides of 8, 4 and 2, all of which attend.
    let downs = block(4, 4) + block(4, 4) + block(4, 8) + block(8, 8) + block(8, 8);
    let middle = 2 * block(8, 8);
    let ups = block(16, 8) * 2 + block(8, 8) + block(16, 8) + block(12, 8) + block(8, 8);
    let ups = ups + block(12, 4) + block(8, 4);
    let attends = attention(4) * 3 + attention(8) * (2 + 1 + 4);
    let ends = conv(1, 4) + 2 * 4 + conv(4, 1);
    assert_eq!(count(&parameters(&all)), time + downs + middle + ups + attends + ends);
}

#[test]
fn a_fresh_dit_says_nothing_and_only_its_places_are_no_parameters() {
    let (all, out) = fresh(&dit());
    assert_eq!(out.abs().max().double_value(&[]), 0.0);
    assert_eq!(all.len() - parameters(&all).len(), 1);
    assert!(all["blocks.1.attn.qkv.weight"].abs().max().double_value(&[]) > 0.1);
}

#[test]
fn batch_norm_remembers_batches_of_a_training_and_lends_them_to_nobody() {
    let (store, net) = stirred(&simple(Padding::Zero), &task(1, 8, None));
    let (x, t) = (random([3, 1, 8, 8]), Tensor::from_slice(&[5_i64, 6, 7]));
    let mean = || state(&store)["mid.block1.1.running_mean"].copy();
    let ask = |training| net.forward(&Input { training, ..Input::new(&x, &t) });
    let (before, out) = (mean(), ask(false));
    assert_eq!(far(&before, &mean()), 0.0);
    assert!(far(&ask(true), &out) > 1e-3);
    assert!(far(&before, &mean()) > 1e-6);
    assert!(!parameters(&state(&store)).contains_key("mid.block1.1.running_mean"));
}

#[test]
fn products_of_16_bits_give_nearly_the_same_and_gradients_of_32() {
    let simple = simple(Padding::Circular);
    for model in [unet(Padding::Zero, true), adm(Padding::Circular), simple, dit()] {
        let (mut store, net) = stirred(&model, &task(1, 8, None));
        store.float();
        let (x, t) = (random([2, 1, 8, 8]).to_kind(Kind::Float), Tensor::from_slice(&[5_i64, 600]));
        let ask = |precision| with_precision(precision, || net.forward(&Input::new(&x, &t)));
        let (whole, half) = (ask(Precision::F32), ask(Precision::Bf16).to_kind(Kind::Float));
        let error = far(&whole, &half) / whole.abs().max().double_value(&[]);
        assert!(error > 0.0 && error < 0.1, "{model:?}: {error}");
        half.square().mean(Kind::Float).backward();
        for (name, parameter) in parameters(&state(&store)) {
            let gradient = parameter.grad();
            assert!(gradient.defined() && gradient.kind() == Kind::Float, "{name}");
        }
        assert_eq!(far(&ask(Precision::F32), &whole), 0.0, "the precision is set back");
    }
}

#[test]
fn a_network_of_fixed_weights_says_the_same_and_prepares_them_once() {
    let model = unet(Padding::Zero, true);
    let (known, net) = stirred(&model, &task(1, 8, None));
    let mut store = nn::VarStore::new(Device::Cpu);
    let fixed = with_fixed_weights(|| build(&model, &task(1, 8, None), &store.root())).unwrap();
    store.double();
    load(&state(&store), &state(&known)).unwrap();
    let input = (random([2, 1, 8, 8]), Tensor::from_slice(&[5_i64, 600]));
    let ask = |net: &dyn Network| no_grad(|| net.forward(&Input::new(&input.0, &input.1)));
    let said = ask(fixed.as_ref());
    assert_eq!(far(&ask(net.as_ref()), &said), 0.0);
    // Whoever breaks the promise is not heard.
    no_grad(|| drop(state(&store)["downs.0.0.block1.proj.weight"].shallow_clone().zero_()));
    assert_eq!(far(&ask(fixed.as_ref()), &said), 0.0);
    no_grad(|| drop(state(&known)["downs.0.0.block1.proj.weight"].shallow_clone().zero_()));
    assert!(far(&ask(net.as_ref()), &said) > 1e-6);
}

fn named(pairs: &[(&str, &[f64])]) -> Tensors {
    pairs.iter().map(|(name, v)| ((*name).to_owned(), Tensor::from_slice(v))).collect()
}

#[test]
fn tensors_are_loaded_by_name() {
    let to = named(&[("a", &[0.0, 0.0]), ("b", &[0.0])]);
    load(&to, &named(&[("b", &[3.0]), ("a", &[1.0, 2.0])])).unwrap();
    assert_eq!(to["a"].double_value(&[1]), 2.0);
    assert_eq!(to["b"].double_value(&[0]), 3.0);
    assert_eq!(count(&to), 3);
}

#[test]
fn what_does_not_fit_is_named_and_nothing_is_loaded() {
    let to = named(&[("a", &[0.0]), ("b", &[0.0])]);
    for (values, name) in [
        (named(&[("a", &[1.0])]), "`b`"),
        (named(&[("a", &[1.0]), ("b", &[1.0, 2.0])]), "`b`"),
        (named(&[("a", &[1.0]), ("b", &[1.0]), ("c", &[1.0])]), "`c`"),
    ] {
        let problem = load(&to, &values).unwrap_err().to_string();
        assert!(problem.contains(name), "{problem}");
        assert_eq!(to["a"].double_value(&[0]), 0.0);
    }
}

#[test]
fn copies_stay_when_the_original_moves() {
    let tensors = named(&[("a", &[1.0])]);
    let kept = copies(&tensors);
    let _ = tensors["a"].shallow_clone().zero_();
    assert_eq!(kept["a"].double_value(&[0]), 1.0);
}
