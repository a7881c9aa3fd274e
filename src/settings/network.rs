//! The networks: their settings.

use super::reader::{Found, Reader};
use super::table::{choice, kinds, table};
use crate::problem::Problem;

kinds! {
    /// The networks.
    pub enum Model {
        /// A U-Net with weight-standardised convolutions, linear and full attention.
        Unet(Unet) = "unet",
        /// The U-Net of Dhariwal & Nichol 2021: a good first choice for fields and images.
        Adm(Adm) = "adm",
        /// A U-Net of plain residual blocks with batch norm, told time and conditions by sums.
        SimpleUnet(SimpleUnet) = "simple_unet",
        /// A transformer over patches, told time and conditions by scales, shifts and gates.
        Dit(Dit) = "dit",
        /// LeNet-5, a small classifier of images; for the objective `classification`.
        Lenet(Lenet) = "lenet",
    }
}

table! {
    /// The U-Net of "The Annotated Diffusion Model": residual blocks with weight-standardised
    /// convolutions and group norm, linear attention at every level, full attention in the middle.
    pub struct Unet {
        #[doc = "Channels of the first level; even, and divisible by `groups`."]
        width: u64 [4.0..=1024.0] = 32;
        #[doc = "Channels of each level, as multiples of `width`; every level but the last halves the side."]
        multipliers: Vec<u64> = vec![1, 2, 4];
        #[doc = "Groups of the group norm."]
        groups: u64 [1.0..=256.0] = 4;
        #[doc = "Linear attention at every level and full attention in the middle."]
        attention: bool = true;
        #[doc = "What convolutions see beyond the edge; `circular` for periodic boxes."]
        padding: Padding = Padding::Zero;
        #[doc = "Weight standardisation of the convolutions in residual blocks."]
        weight_standardisation: Standardisation = Standardisation::On;
        #[doc = "Whether the network also sees its last prediction of the clean sample (Chen et al. 2023): in half of the training steps, and in every step of a sampler but the first."]
        self_condition: bool = false, neutral false;
    }
    check check_unet;
}

impl Default for Unet {
    fn default() -> Self {
        Self {
            width: 32,
            multipliers: vec![1, 2, 4],
            groups: 4,
            attention: true,
            padding: Padding::Zero,
            weight_standardisation: Standardisation::On,
            self_condition: false,
        }
    }
}

fn check_unet(unet: &Unet, found: &Found<'_>, reader: &mut Reader) {
    check_width(unet.width, unet.groups, found, reader);
    check_multipliers(&unet.multipliers, found, reader);
}

fn check_width(width: u64, groups: u64, found: &Found<'_>, reader: &mut Reader) {
    if width % 2 == 1 || !width.is_multiple_of(groups) {
        let sentence = format!("the width {width} is odd or not divisible by {groups} groups");
        let problem = Problem::new(sentence).help("take an even multiple of `groups`");
        reader.wrong_key(found, "width", problem);
    }
}

fn check_multipliers(multipliers: &[u64], found: &Found<'_>, reader: &mut Reader) {
    if multipliers.is_empty()
        || multipliers.len() > 8
        || multipliers.iter().any(|m| !(1..=64).contains(m))
    {
        let problem = Problem::new("`multipliers` must be 1 to 8 whole numbers between 1 and 64");
        reader.wrong_key(found, "multipliers", problem.help("for example [1, 2, 4]"));
    }
}

choice! {
    /// What convolutions see beyond the edge.
    pub enum Padding {
        #[doc = "Zeros."]
        Zero = "zero",
        #[doc = "The opposite edge: right for periodic boxes."]
        Circular = "circular",
    }
}

choice! {
    /// Weight standardisation (Qiao et al. 2019, eq. 10).
    pub enum Standardisation {
        #[doc = "(w - mean) / sqrt(variance + eps) per output channel."]
        On = "on",
        #[doc = "The plain weights."]
        Off = "off",
        #[doc = "(w - mean) * sqrt(variance + eps), as a widely copied notebook had it; for comparison only."]
        AsWritten = "as_written",
    }
}

table! {
    /// The U-Net of Dhariwal & Nichol 2021 (ADM): residual blocks that start without effect, told time and
    /// conditions by scales and shifts, full attention at small sides, and blocks that change the side.
    pub struct Adm {
        #[doc = "Channels of the first level; even, and divisible by `groups`."]
        width: u64 [2.0..=1024.0] = 64;
        #[doc = "Channels of each level, as multiples of `width`; every level but the last halves the side."]
        multipliers: Vec<u64> = vec![1, 2, 2, 4];
        #[doc = "Residual blocks of a level on the way down; on the way up there is one more."]
        blocks: u64 [1.0..=16.0] = 2;
        #[doc = "Attention between all pixels at levels whose sides are no longer than this, and in the middle; 0 for none."]
        attention_side: u64 [0.0..=64.0] = 16;
        #[doc = "Channels of a head of attention."]
        head_width: u64 [1.0..=1024.0] = 64;
        #[doc = "Groups of the group norm."]
        groups: u64 [1.0..=256.0] = 32;
        #[doc = "What convolutions see beyond the edge; `circular` for periodic boxes."]
        padding: Padding = Padding::Zero;
        #[doc = "Whether the network also sees its last prediction of the clean sample (Chen et al. 2023): in half of the training steps, and in every step of a sampler but the first."]
        self_condition: bool = false;
    }
    check check_adm;
}

impl Default for Adm {
    fn default() -> Self {
        Self {
            width: 64,
            multipliers: vec![1, 2, 2, 4],
            blocks: 2,
            attention_side: 16,
            head_width: 64,
            groups: 32,
            padding: Padding::Zero,
            self_condition: false,
        }
    }
}

fn check_adm(adm: &Adm, found: &Found<'_>, reader: &mut Reader) {
    check_width(adm.width, adm.groups, found, reader);
    check_multipliers(&adm.multipliers, found, reader);
    let attends = |width: u64| width > adm.head_width && !width.is_multiple_of(adm.head_width);
    let odd = adm.multipliers.iter().map(|m| m * adm.width).find(|width| attends(*width));
    if let Some(width) = odd.filter(|_| adm.attention_side > 0) {
        let problem =
            Problem::new(format!("{width} channels do not part into heads of {}", adm.head_width));
        reader.wrong_key(found, "head_width", problem.help("take a divisor of all channels"));
    }
}

table! {
    /// The U-Net of an earlier study of density fields: residual blocks with batch norm and ReLU, to which
    /// linear maps of the time and of the conditions are added; every level halves the side. With the
    /// defaults, one channel and six parameters it has 146 million weights.
    pub struct SimpleUnet {
        #[doc = "Channels of the first level."]
        width: u64 [1.0..=1024.0] = 128;
        #[doc = "Channels of each level, as multiples of `width`; every level halves the side."]
        multipliers: Vec<u64> = vec![1, 2, 4, 8];
        #[doc = "Channels of the embedded time and of the embedded conditions; even."]
        time_width: u64 [4.0..=8192.0] = 256;
        #[doc = "What convolutions see beyond the edge; `circular` for periodic boxes."]
        padding: Padding = Padding::Zero;
    }
    check check_simple_unet;
}

impl Default for SimpleUnet {
    fn default() -> Self {
        let multipliers = vec![1, 2, 4, 8];
        Self { width: 128, multipliers, time_width: 256, padding: Padding::Zero }
    }
}

fn check_simple_unet(unet: &SimpleUnet, found: &Found<'_>, reader: &mut Reader) {
    check_multipliers(&unet.multipliers, found, reader);
    if unet.time_width % 2 == 1 {
        let problem = Problem::new(format!("the time width {} is odd", unet.time_width));
        reader.wrong_key(found, "time_width", problem.help("it holds as many sines as cosines"));
    }
}

table! {
    /// The diffusion transformer with adaLN-Zero (Peebles & Xie 2023). Attention sees no edge, and patches
    /// know their place by fixed sines: it does not move with its input, not even in a periodic box.
    pub struct Dit {
        #[doc = "A published size, which sets `width`, `depth` and `heads`: S 384, 12, 6; B 768, 12, 12; L 1024, 24, 16; XL 1152, 28, 16."]
        size: Option<DitSize>;
        #[doc = "Side of a patch in pixels; it divides the side of a map."]
        patch: u64 [1.0..=256.0] = 2;
        #[doc = "Channels of a patch; by default those of `size`, else of S. Divisible by 4 and by `heads`."]
        width: Option<u64> [4.0..=8192.0];
        #[doc = "Blocks one after another; by default those of `size`, else of S."]
        depth: Option<u64> [1.0..=256.0];
        #[doc = "Heads of attention; by default those of `size`, else of S."]
        heads: Option<u64> [1.0..=256.0];
    }
    settle settle_dit;
    check check_dit;
}

/// Writes a size out, so that a size and its numbers are one network.
fn settle_dit(dit: Dit) -> Dit {
    let [width, depth, heads] = dit.size.unwrap_or(DitSize::S).numbers();
    Dit {
        size: None,
        patch: dit.patch,
        width: dit.width.or(Some(width)),
        depth: dit.depth.or(Some(depth)),
        heads: dit.heads.or(Some(heads)),
    }
}

impl Dit {
    /// Channels, blocks and heads.
    pub fn numbers(&self) -> [u64; 3] {
        let [width, depth, heads] = self.size.unwrap_or(DitSize::S).numbers();
        [self.width.unwrap_or(width), self.depth.unwrap_or(depth), self.heads.unwrap_or(heads)]
    }
}

fn check_dit(dit: &Dit, found: &Found<'_>, reader: &mut Reader) {
    let [width, _, heads] = dit.numbers();
    if !width.is_multiple_of(4) || !width.is_multiple_of(heads) {
        let problem =
            Problem::new(format!("the width {width} is not divisible by 4 and by {heads} heads"));
        let key = if dit.width.is_some() { "width" } else { "heads" };
        reader.wrong_key(found, key, problem.help("take a multiple of both, such as 384 with 6"));
    }
}

choice! {
    /// The sizes of the paper.
    pub enum DitSize {
        #[doc = "Small."]
        S = "S",
        #[doc = "Base."]
        B = "B",
        #[doc = "Large."]
        L = "L",
        #[doc = "Extra large."]
        Xl = "XL",
    }
}

impl DitSize {
    /// Channels, blocks and heads.
    fn numbers(self) -> [u64; 3] {
        match self {
            Self::S => [384, 12, 6],
            Self::B => [768, 12, 12],
            Self::L => [1024, 24, 16],
            Self::Xl => [1152, 28, 16],
        }
    }
}

table! {
    /// LeNet-5 (LeCun et al. 1998) with rectified units and max pooling: two convolutions of 5 by 5 pixels,
    /// 120 units, the features, the classes.
    pub struct Lenet {
        #[doc = "Units before the classes: the features by which images are compared."]
        features: u64 [1.0..=4096.0] = 84;
    }
}

impl Model {
    /// What divides the sides of maps, and why, in words.
    pub fn divisor(&self) -> (u64, String) {
        let halvings = |count: usize| 2_u64.saturating_pow(count as u32);
        let levels = |multipliers: &Vec<u64>| crate::words::plural(multipliers.len(), "level");
        match self {
            Self::Unet(unet) => {
                let count = unet.multipliers.len().saturating_sub(1);
                (halvings(count), format!("a U-Net of {}", levels(&unet.multipliers)))
            }
            Self::Adm(unet) => {
                let count = unet.multipliers.len().saturating_sub(1);
                (halvings(count), format!("an ADM of {}", levels(&unet.multipliers)))
            }
            Self::SimpleUnet(unet) => {
                let what = format!("a simple U-Net of {}", levels(&unet.multipliers));
                (halvings(unet.multipliers.len()), what)
            }
            Self::Dit(dit) => (dit.patch, format!("a DiT with patches of {0} x {0}", dit.patch)),
            Self::Lenet(_) => (4, "LeNet".to_owned()),
        }
    }
}
