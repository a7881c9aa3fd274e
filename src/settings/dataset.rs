//! Settings of dataset nodes.

use super::fields::{GaussianFields, LogNormalFields, LptFields, ParticleMeshFields};
use super::file::{DataFile, DataFolder, Holding};
use super::table::{choice, kinds, table};
use super::{Found, Reader};
use crate::problem::Problem;

kinds! {
    /// Where the data come from.
    pub enum Dataset {
        /// Log-normal density fields of exactly known statistics.
        LogNormalFields(LogNormalFields) = "log_normal_fields",
        /// Gaussian density fields of exactly known power, the control.
        GaussianFields(GaussianFields) = "gaussian_fields",
        /// Projected density of particle-mesh simulations, with the cosmic web.
        ParticleMeshFields(ParticleMeshFields) = "particle_mesh_fields",
        /// Projected density by Lagrangian perturbation theory, without any force.
        LptFields(LptFields) = "lpt_fields",
        /// Any arrays on disk.
        Npy(Npy) = "npy",
        /// A folder of images.
        ImageFolder(ImageFolder) = "image_folder",
        /// Maps of the CAMELS Multifield Dataset.
        CamelsCmd(CamelsCmd) = "camels_cmd",
        /// MNIST, Fashion-MNIST, or other files in their format.
        Idx(Idx) = "idx",
        /// CIFAR-10 in its binary version.
        Cifar10(Cifar10) = "cifar10",
        /// Ten classes of digits drawn from fonts, without any download.
        GlyphDigits(GlyphDigits) = "glyph_digits",
    }
}

/// Refuses splits that leave nothing to train on; `name` is the setting that counts what is split.
pub(super) fn check_split(
    name: &str,
    groups: u64,
    validation: f64,
    test: f64,
    found: &Found<'_>,
    reader: &mut Reader,
) {
    if Split::of(groups, validation, test).train == 0 {
        let problem = Problem::new("nothing is left to train on");
        reader.wrong_key(
            found,
            name,
            problem.help("keep a smaller fraction for validation and test"),
        );
    }
}

table! {
    /// Arrays on disk, `[n, h, w]` or `[n, c, h, w]` of floats (16, 32, 64 bits) or bytes, in C order. One `.npy` file
    /// is mapped into memory where it lies and never copied; what an `.npz` archive or a folder holds is copied
    /// once, as 32-bit floats.
    pub struct Npy {
        #[doc = "The `.npy` file, an `.npz` archive, or a folder of both, whose files are taken in the order of their names; in a folder, `[h, w]` is one item."]
        file: DataFile;
        #[doc = "The name of the array in archives that hold several."]
        array: Option<String>;
        #[doc = "Parameters of the items: `.npy` `[n, k]`, or a text table with a line for each item or group."]
        parameters: Option<DataFile>;
        #[doc = "Classes of the items: `.npy` `[n]` of whole numbers."]
        labels: Option<DataFile>;
        #[doc = "Side of the periodic box in Mpc/h, for fields; power spectra need it."]
        box_mpc_h: Option<f64> [1e-6..=1e9];
        #[doc = "Unit of the values, for people."]
        units: Option<String>;
        #[doc = "Items one after another that belong together, such as the maps of one simulation, and stay in one split."]
        group: u64 [1.0..=1e9] = 1;
        #[doc = "Whether the groups are shuffled before they are split; otherwise the first train, the next validate, the last test."]
        shuffle: bool = true;
        #[doc = "Seed of that order."]
        seed: u64 [0.0..=9e15] = 0;
        #[doc = "Fraction of the groups kept for validation."]
        validation: f64 [0.0..=0.5] = 0.1;
        #[doc = "Fraction of the groups kept for tests."]
        test: f64 [0.0..=0.5] = 0.1;
        #[doc = "What the network sees; fitted on the train split, inverted after sampling."]
        transform: Transform = Transform::ZScore;
    }
    settle settle_npy;
}

fn settle_npy(npy: Npy) -> Npy {
    let holding = Holding::Arrays(npy.array.clone());
    Npy { file: DataFile { holding, ..npy.file }, ..npy }
}

table! {
    /// A folder of PNG and JPEG images, cut to their middle square and scaled to one side. If all lie in folders within
    /// it, these are their classes, in the order of their names.
    pub struct ImageFolder {
        #[doc = "The folder."]
        folder: DataFile;
        #[doc = "Side of an item in pixels."]
        side: u64 [1.0..=4096.0];
        #[doc = "Whether items have one channel or three."]
        colour: Colour = Colour::Rgb;
        #[doc = "Whether the images are shuffled before they are split; otherwise the first train, the next validate, the last test."]
        shuffle: bool = true;
        #[doc = "Seed of that order."]
        seed: u64 [0.0..=9e15] = 0;
        #[doc = "Fraction of the images kept for validation."]
        validation: f64 [0.0..=0.5] = 0.1;
        #[doc = "Fraction of the images kept for tests."]
        test: f64 [0.0..=0.5] = 0.1;
        #[doc = "What the network sees."]
        transform: Transform = Transform::Bytes;
    }
    settle settle_images;
}

fn settle_images(images: ImageFolder) -> ImageFolder {
    ImageFolder { folder: DataFile { holding: Holding::Images, ..images.folder }, ..images }
}

choice! {
    /// The channels of images.
    pub enum Colour {
        #[doc = "Three: red, green, blue."]
        Rgb = "rgb",
        #[doc = "One: their luminance."]
        Grey = "grey",
    }
}

impl Colour {
    /// How many there are.
    pub fn channels(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Grey => 1,
        }
    }
}

table! {
    /// Two-dimensional maps of the CAMELS Multifield Dataset as they are published: `Maps_*.npy`
    /// `[n, h, w]` and the parameters of the simulations as text, split by simulation.
    pub struct CamelsCmd {
        #[doc = "`Maps_<field>_<suite>_<set>_z=0.00.npy`."]
        maps: DataFile;
        #[doc = "`params_<set>_<suite>.txt`: a line for each simulation, Omega_m and sigma_8 first."]
        parameters: DataFile;
        #[doc = "Maps of each simulation, one after another."]
        maps_per_simulation: u64 [1.0..=1e6] = 15;
        #[doc = "Side of the periodic box, in Mpc/h."]
        box_mpc_h: f64 [1.0..=1e4] = 25.0;
        #[doc = "Fraction of the simulations kept for validation."]
        validation: f64 [0.0..=0.5] = 0.1;
        #[doc = "Fraction of the simulations kept for tests."]
        test: f64 [0.0..=0.5] = 0.1;
        #[doc = "What the network sees; fitted on the train split, inverted after sampling."]
        transform: Transform = Transform::LogZScore;
    }
}

table! {
    /// Images and labels in the format of MNIST, packed by gzip or not. A known set is found on disk or
    /// downloaded once, and its checksums are verified; other files are named.
    pub struct Idx {
        #[doc = "A known set; either this, or `images` and its fellows."]
        set: Option<IdxSet>;
        #[doc = "Where the files of a known set lie; by default the folder in ABLATE_DATA, then `~/.cache/ablate/data`."]
        folder: Option<DataFolder>;
        #[doc = "The file of train images."]
        images: Option<DataFile>;
        #[doc = "The file of train labels."]
        labels: Option<DataFile>;
        #[doc = "The file of test images."]
        test_images: Option<DataFile>;
        #[doc = "The file of test labels."]
        test_labels: Option<DataFile>;
        #[doc = "Pixels of zeros added at each edge: 2 makes 32² of 28²."]
        pad: u64 [0.0..=512.0] = 0;
        #[doc = "Fraction of the train images kept for validation, the last ones."]
        validation: f64 [0.0..=0.5] = 0.1;
        #[doc = "What the network sees."]
        transform: Transform = Transform::Bytes;
    }
    check check_idx;
}

fn check_idx(idx: &Idx, found: &Found<'_>, reader: &mut Reader) {
    let named = [&idx.images, &idx.labels, &idx.test_images, &idx.test_labels];
    let count = named.iter().filter(|file| file.is_some()).count();
    let problem = match (idx.set, count) {
        (Some(_), 0) | (None, 4) => return,
        (Some(_), _) => Problem::new("both a known `set` and files are given").help("keep one"),
        (None, 0) => {
            Problem::new("`set` is missing").help("add `set: mnist` or `set: fashion_mnist`")
        }
        (None, _) => Problem::new("some of the four files are missing")
            .help("give `images`, `labels`, `test_images` and `test_labels`"),
    };
    reader.wrong::<()>(found, problem);
}

choice! {
    /// The known sets in the format of MNIST.
    pub enum IdxSet {
        #[doc = "Handwritten digits (LeCun et al. 1998)."]
        Mnist = "mnist",
        #[doc = "Pieces of clothing (Xiao et al. 2017)."]
        FashionMnist = "fashion_mnist",
    }
}

table! {
    /// CIFAR-10 (Krizhevsky 2009) as its binary version unpacks: `data_batch_1.bin` to `data_batch_5.bin` and
    /// `test_batch.bin`, colour images of 32². They are found on disk, and never downloaded.
    pub struct Cifar10 {
        #[doc = "Where the files lie, or their folder `cifar-10-batches-bin`; by default the folder in ABLATE_DATA, then `~/.cache/ablate/data`."]
        folder: Option<DataFolder>;
        #[doc = "Fraction of the train images kept for validation, the last ones."]
        validation: f64 [0.0..=0.5] = 0.1;
        #[doc = "What the network sees."]
        transform: Transform = Transform::Bytes;
    }
}

table! {
    /// Digits drawn from fonts with random affine and stroke, 28², so that image specs run without any
    /// download. Image i depends on (seed, i) alone.
    pub struct GlyphDigits {
        #[doc = "Images in all, over the three splits."]
        images: u64 [10.0..=1e6] = 10_000;
        #[doc = "Seed of the images."]
        seed: u64 [0.0..=9e15] = 0;
        #[doc = "Pixels of zeros added at each edge: 2 makes 32² of 28²."]
        pad: u64 [0.0..=512.0] = 0;
        #[doc = "Fraction of the images kept for validation."]
        validation: f64 [0.0..=0.5] = 0.1;
        #[doc = "Fraction of the images kept for tests."]
        test: f64 [0.0..=0.5] = 0.1;
        #[doc = "What the network sees."]
        transform: Transform = Transform::Bytes;
    }
    check check_glyphs;
}

fn check_glyphs(glyphs: &GlyphDigits, found: &Found<'_>, reader: &mut Reader) {
    check_split("images", glyphs.images, glyphs.validation, glyphs.test, found, reader);
}

choice! {
    /// The invertible map from physical values to what the network sees.
    pub enum Transform {
        #[doc = "(log10 x - mean) / standard deviation."]
        LogZScore = "log_zscore",
        #[doc = "log10 x scaled from [min, max] to [-1, 1]."]
        LogMinMax = "log_minmax",
        #[doc = "(x - mean) / standard deviation."]
        ZScore = "zscore",
        #[doc = "x scaled from [min, max] to [-1, 1]."]
        MinMax = "minmax",
        #[doc = "Bytes scaled from [0, 255] to [-1, 1], whatever values occur."]
        Bytes = "bytes",
    }
}

impl Transform {
    /// Whether values must be positive.
    pub fn takes_log(self) -> bool {
        matches!(self, Self::LogZScore | Self::LogMinMax)
    }
}

/// How many items (or groups of them) each split holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// For training.
    pub train: u64,
    /// For validation.
    pub validation: u64,
    /// For tests.
    pub test: u64,
}

impl Split {
    /// The split of `count` things by fractions, each rounded to the nearest whole number.
    pub fn of(count: u64, validation: f64, test: f64) -> Self {
        let kept = |fraction: f64| (fraction * count as f64).round() as u64;
        let (validation, test) = (kept(validation), kept(test));
        Self { train: count.saturating_sub(validation + test), validation, test }
    }

    /// All three together.
    pub fn sum(self) -> u64 {
        self.train + self.validation + self.test
    }

    fn times(self, n: u64) -> Self {
        Self { train: self.train * n, validation: self.validation * n, test: self.test * n }
    }
}

/// What the settings alone say of a dataset's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Rows of an item.
    pub height: u64,
    /// Columns of an item.
    pub width: u64,
}

/// What the settings alone say of the conditions of a dataset's items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Known {
    /// Whether the items have classes.
    pub has_classes: bool,
    /// How many classes there are, where the settings tell.
    pub classes: Option<u64>,
    /// Whether the items have parameters.
    pub has_parameters: bool,
    /// How many parameters there are, where the settings tell.
    pub parameters: Option<u64>,
}

impl Dataset {
    /// Whether the items are maps of a periodic box, where the settings tell.
    pub fn is_periodic(&self) -> bool {
        match self {
            Self::LogNormalFields(_)
            | Self::GaussianFields(_)
            | Self::ParticleMeshFields(_)
            | Self::LptFields(_)
            | Self::CamelsCmd(_) => true,
            Self::Npy(s) => s.box_mpc_h.is_some(),
            Self::Idx(_) | Self::GlyphDigits(_) | Self::Cifar10(_) | Self::ImageFolder(_) => false,
        }
    }
}

/// Rows and columns of MNIST and of the glyphs.
pub const DIGIT_SIDE: u64 = 28;

/// Rows and columns of CIFAR-10.
pub const CIFAR_SIDE: u64 = 32;

impl Dataset {
    /// Rows and columns of an item, where the settings tell.
    pub fn geometry(&self) -> Option<Geometry> {
        let square = |side| Some(Geometry { height: side, width: side });
        let of_array = |file: &DataFile| match file.shape[..] {
            [_, height, width] | [_, _, height, width] => Some(Geometry { height, width }),
            _ => None,
        };
        match self {
            Self::LogNormalFields(s) => square(s.side),
            Self::GaussianFields(s) => square(s.side),
            Self::LptFields(s) => square(s.side),
            Self::ParticleMeshFields(s) => square(s.side),
            Self::Npy(s) => of_array(&s.file),
            Self::ImageFolder(s) => square(s.side),
            Self::CamelsCmd(s) => of_array(&s.maps),
            Self::Idx(s) => s.set.and_then(|_| square(DIGIT_SIDE + 2 * s.pad)),
            Self::GlyphDigits(s) => square(DIGIT_SIDE + 2 * s.pad),
            Self::Cifar10(_) => square(CIFAR_SIDE),
        }
    }

    /// What conditions the items have.
    pub fn conditions(&self) -> Known {
        let classes = |classes| Known { has_classes: true, classes, ..Known::default() };
        let parameters =
            |parameters| Known { has_parameters: true, parameters, ..Known::default() };
        match self {
            Self::LogNormalFields(_) | Self::GaussianFields(_) => Known::default(),
            Self::ParticleMeshFields(_) | Self::LptFields(_) => parameters(Some(2)),
            Self::CamelsCmd(_) => parameters(None),
            Self::Idx(s) => classes(s.set.map(|_| 10)),
            Self::GlyphDigits(_) | Self::Cifar10(_) => classes(Some(10)),
            Self::ImageFolder(s) => match s.folder.shape.get(1) {
                Some(0) | None => Known::default(),
                Some(count) => classes(Some(*count)),
            },
            Self::Npy(s) => Known {
                has_classes: s.labels.is_some(),
                has_parameters: s.parameters.is_some(),
                ..Known::default()
            },
        }
    }

    /// What a network sees of it.
    pub fn transform(&self) -> Transform {
        match self {
            Self::LogNormalFields(s) => s.transform,
            Self::GaussianFields(s) => s.transform,
            Self::LptFields(s) => s.transform,
            Self::ParticleMeshFields(s) => s.transform,
            Self::Npy(s) => s.transform,
            Self::ImageFolder(s) => s.transform,
            Self::CamelsCmd(s) => s.transform,
            Self::Idx(s) => s.transform,
            Self::GlyphDigits(s) => s.transform,
            Self::Cifar10(s) => s.transform,
        }
    }

    /// Items in each split, where the settings tell.
    pub fn split(&self) -> Option<Split> {
        let groups = |file: &DataFile, group: u64, validation, test| {
            let items = file.shape.first()?;
            Some(Split::of(items / group.max(1), validation, test).times(group))
        };
        match self {
            Self::LogNormalFields(s) => Some(Split::of(s.maps, s.validation, s.test)),
            Self::GaussianFields(s) => Some(Split::of(s.maps, s.validation, s.test)),
            Self::LptFields(s) => {
                Some(Split::of(s.simulations, s.validation, s.test).times(3 * s.slabs))
            }
            Self::ParticleMeshFields(s) => {
                Some(Split::of(s.simulations, s.validation, s.test).times(3 * s.slabs))
            }
            Self::ImageFolder(s) => groups(&s.folder, 1, s.validation, s.test),
            Self::Npy(s) => groups(&s.file, s.group, s.validation, s.test),
            Self::CamelsCmd(s) => groups(&s.maps, s.maps_per_simulation, s.validation, s.test),
            Self::Idx(s) => s.set.map(|_| {
                let train = Split::of(60_000, s.validation, 0.0);
                Split { test: 10_000, ..train }
            }),
            Self::GlyphDigits(s) => Some(Split::of(s.images, s.validation, s.test)),
            Self::Cifar10(s) => {
                let train = Split::of(50_000, s.validation, 0.0);
                Some(Split { test: 10_000, ..train })
            }
        }
    }

    /// The external files that the settings name, each with the setting that names it.
    pub fn files(&mut self) -> Vec<(&'static str, &mut DataFile)> {
        let all = match self {
            Self::LogNormalFields(_)
            | Self::GaussianFields(_)
            | Self::ParticleMeshFields(_)
            | Self::LptFields(_)
            | Self::Cifar10(_)
            | Self::GlyphDigits(_) => vec![],
            Self::Npy(s) => vec![
                ("file", Some(&mut s.file)),
                ("parameters", s.parameters.as_mut()),
                ("labels", s.labels.as_mut()),
            ],
            Self::ImageFolder(s) => vec![("folder", Some(&mut s.folder))],
            Self::CamelsCmd(s) => {
                vec![("maps", Some(&mut s.maps)), ("parameters", Some(&mut s.parameters))]
            }
            Self::Idx(s) => vec![
                ("images", s.images.as_mut()),
                ("labels", s.labels.as_mut()),
                ("test_images", s.test_images.as_mut()),
                ("test_labels", s.test_labels.as_mut()),
            ],
        };
        all.into_iter().filter_map(|(name, file)| Some((name, file?))).collect()
    }

    /// The external array that the items stay in, if there is one.
    pub fn array(&self) -> Option<&DataFile> {
        match self {
            Self::Npy(s) => Some(&s.file).filter(|file| file.is_array()),
            Self::CamelsCmd(s) => Some(&s.maps),
            _ => None,
        }
    }

    /// The folder to look into, if the settings name one.
    pub fn folder(&mut self) -> Option<&mut DataFolder> {
        match self {
            Self::Idx(s) => s.folder.as_mut(),
            Self::Cifar10(s) => s.folder.as_mut(),
            _ => None,
        }
    }
}
