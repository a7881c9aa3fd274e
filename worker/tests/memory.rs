//! Memory of tensors. It belongs to the process, so all that is said of it is one test.
#![cfg(test)]

use ablate_worker::memory::{counts, keep, release};
use tch::{Device, Kind, Tensor};

const MB: u64 = 1 << 20;

/// A tensor of so many megabytes, written to.
fn tensor(megabytes: u64) -> Tensor {
    Tensor::ones([(megabytes * MB / 4) as i64], (Kind::Float, Device::Cpu))
}

/// The memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn freed_blocks_are_kept_for_others_of_their_size_never_for_more_than_an_eighth_and_given_back() {
    let before = tensor(3);
    keep(0);
    drop(before);
    assert_eq!(
        (counts().used, counts().kept),
        (0, 0),
        "made before, and freed by its own function"
    );

    // Small ones are the system's; a large one is used again, by one that is a little smaller too.
    let small = Tensor::zeros([1000], (Kind::Float, Device::Cpu));
    assert_eq!(counts().used, 0);
    drop(small);
    let first = tensor(64);
    let place = first.data_ptr();
    assert_eq!(counts().used, 64 * MB);
    drop(first);
    assert_eq!((counts().used, counts().kept, counts().most), (0, 64 * MB, 64 * MB));
    let second = tensor(62);
    assert_eq!((second.data_ptr(), counts().used, counts().kept), (place, 64 * MB, 0));
    drop(second);

    // One of quite another size takes the place of what was freed longest ago.
    let (a, b) = (tensor(40), tensor(20));
    assert_eq!((counts().used, counts().kept), (60 * MB, 0));
    assert_eq!(a.double_value(&[0]) + b.double_value(&[20 * (MB as i64) / 4 - 1]), 2.0);
    drop((a, b));

    // Steps that ask for the same find the same, and the memory of the process stays below what is promised.
    let step = || (0..12).map(|i| tensor(8 + i % 3 * 4)).collect::<Vec<_>>();
    drop(step());
    let (most, at_first) = (counts().most, counts());
    let begin = resident();
    for _ in 0..5 {
        let held = step();
        assert!(counts().used + counts().kept <= most + most / 8);
        drop(held);
        assert_eq!(counts(), at_first);
    }
    assert!(resident() < begin + 8 * MB);

    // Sizes that never come again are not all kept.
    for megabytes in 30..90 {
        drop(tensor(megabytes));
        assert!(counts().used + counts().kept <= counts().most + counts().most / 8);
    }

    // A spare may be kept at any time.
    keep(100 * MB);
    release();
    (0..10).for_each(|i| drop(tensor(5 + 2 * i)));
    let kept = counts().kept;
    assert!(kept > counts().most * 2 && kept <= counts().most + 100 * MB, "{kept}");

    // Other threads may free and ask, too.
    let given: Vec<Tensor> = (0..4).map(|_| tensor(5)).collect();
    let threads: Vec<_> = given
        .into_iter()
        .map(|it| {
            std::thread::spawn(move || {
                drop(it);
                (0..50).for_each(|i| drop(tensor(1 + i % 7)));
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(counts().used, 0);

    let kept = counts().kept;
    assert!(kept > 64 * MB);
    let begin = resident();
    release();
    assert_eq!((counts().kept, counts().most), (0, 0));
    assert!(resident() + kept / 2 < begin, "it is the system's again");

    // What the system does not have is an error that says so, as without us.
    let refused = Tensor::f_zeros([1 << 46], (Kind::Float, Device::Cpu)).unwrap_err().to_string();
    assert!(refused.contains("can't allocate memory"), "{refused}");
}
