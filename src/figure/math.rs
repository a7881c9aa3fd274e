//! Labels with a little mathematics, `$k\ [h\,\mathrm{Mpc}^{-1}]$`, into runs of characters with
//! face, size and offset. Knows TeX's commonest symbols, scripts and spaces; draws nothing.

use super::font::Face;

/// Characters of one face and size, set from one point.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) face: Face,
    pub(super) size_pt: f64,
    /// From the start of the label, in points.
    pub(super) x_pt: f64,
    /// Above the label's baseline, in points.
    pub(super) rise_pt: f64,
}

/// A label ready to be drawn.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Line {
    pub(super) runs: Vec<Run>,
    pub(super) width_pt: f64,
    pub(super) ascent_pt: f64,
    pub(super) descent_pt: f64,
    /// Characters that no bundled face has.
    pub(super) missing: Vec<char>,
    /// Commands that are not known here; they are set as written.
    pub(super) unknown: Vec<String>,
}

/// Height of capitals and digits, in units of the type size.
pub(super) const CAPITAL_EM: f64 = 0.657;
const DESCENT_EM: f64 = 0.22;
const SCRIPT: f64 = 0.70;
const SUPER_RISE_EM: f64 = 0.37;
const SUB_DROP_EM: f64 = 0.17;
const THIN_EM: f64 = 1.0 / 6.0;
const RELATION_EM: f64 = 0.25;
/// After a slanted letter, before something upright and tall.
const SLANT_EM: f64 = 0.04;

/// How a symbol sits between its neighbours.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Letter,
    Upright,
    Operator,
}

/// The size, height and face that symbols are set in.
#[derive(Clone, Copy)]
struct Hand {
    size_pt: f64,
    rise_pt: f64,
    /// The face that `\mathrm` and its like ask for.
    face: Option<Face>,
    script: bool,
}

/// Lays out `label` at `size_pt`; what stands between two `$` is mathematics.
pub(super) fn layout(label: &str, size_pt: f64) -> Line {
    let mut setter = Setter { chars: label.chars().collect(), at: 0, line: Line::default() };
    let plain = Hand { size_pt, rise_pt: 0.0, face: None, script: false };
    setter.line.ascent_pt = CAPITAL_EM * size_pt;
    setter.line.descent_pt = DESCENT_EM * size_pt;
    let balanced = label.matches('$').count().is_multiple_of(2);
    while let Some(c) = setter.next() {
        match c {
            '$' if balanced => setter.math(plain, '$'),
            _ => setter.put(c, Face::Regular, plain),
        }
    }
    setter.line
}

/// Breaks a label at spaces outside its mathematics, so that lines stay within `most_pt` if they can.
pub(super) fn wrap(label: &str, size_pt: f64, most_pt: f64) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut inside = false;
    for c in label.chars() {
        inside ^= c == '$';
        match words.last_mut() {
            Some(word) if c != ' ' || inside => word.push(c),
            _ => words.push(String::new()),
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for word in words.into_iter().filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if layout(&format!("{line} {word}"), size_pt).width_pt <= most_pt => {
                *line = format!("{line} {word}");
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// The label without its mathematics' markup, for messages and data files.
pub fn plain(label: &str) -> String {
    layout(label, 10.0).runs.into_iter().map(|run| run.text).collect()
}

struct Setter {
    chars: Vec<char>,
    at: usize,
    line: Line,
}

impl Setter {
    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip(&mut self, em: f64, hand: Hand) {
        self.line.width_pt += em * hand.size_pt;
    }

    fn put(&mut self, c: char, face: Face, hand: Hand) {
        let Some((face, advance_em)) = face.with(c) else {
            self.line.missing.push(c);
            return;
        };
        let line = &mut self.line;
        line.ascent_pt = line.ascent_pt.max(hand.rise_pt + CAPITAL_EM * hand.size_pt);
        line.descent_pt = line.descent_pt.max(DESCENT_EM * hand.size_pt - hand.rise_pt);
        let (x_pt, size_pt, rise_pt) = (line.width_pt, hand.size_pt, hand.rise_pt);
        line.width_pt += advance_em * size_pt;
        match line.runs.last_mut() {
            Some(run)
                if run.face == face
                    && run.size_pt == size_pt
                    && run.rise_pt == rise_pt
                    && (run.x_pt + width_pt(run) - x_pt).abs() < 1e-6 =>
            {
                run.text.push(c);
            }
            _ => line.runs.push(Run { text: c.into(), face, size_pt, x_pt, rise_pt }),
        }
    }

    /// Sets symbols up to `end`, which is consumed.
    fn math(&mut self, hand: Hand, end: char) {
        let mut first = true;
        while let Some(c) = self.peek() {
            if c == end {
                self.at += 1;
                return;
            }
            self.atom(hand, first);
            first = false;
        }
    }

    /// Sets one symbol, command or group with its scripts.
    fn atom(&mut self, hand: Hand, first: bool) {
        match self.next() {
            Some('\\') => self.command(hand, first),
            Some('{') => self.math(hand, '}'),
            Some(script @ ('^' | '_')) => self.scripts(script, hand),
            Some(' ' | '$' | '}') | None => {}
            Some(c) => self.symbol(c, kind(c), hand, first),
        }
    }

    fn symbol(&mut self, c: char, kind: Kind, hand: Hand, first: bool) {
        let c = match c {
            '-' => '−',
            '\'' => '′',
            '*' => '∗',
            other => other,
        };
        match kind {
            Kind::Letter => {
                let face = hand.face.unwrap_or(Face::Italic);
                self.put(c, face, hand);
                if face == Face::Italic && matches!(self.peek(), Some('^' | ')' | ']' | '|')) {
                    self.skip(SLANT_EM, hand);
                }
            }
            Kind::Upright => self.put(c, hand.face.unwrap_or(Face::Regular), hand),
            Kind::Operator => {
                let gap = if hand.script || first { 0.0 } else { RELATION_EM };
                self.skip(gap, hand);
                self.put(c, Face::Regular, hand);
                self.skip(gap, hand);
            }
        }
    }

    /// Sets `^a`, `_b` or both, one above the other.
    fn scripts(&mut self, first: char, hand: Hand) {
        let start_pt = self.line.width_pt;
        self.script(first, hand);
        let second = if first == '^' { '_' } else { '^' };
        if self.peek() == Some(second) {
            self.at += 1;
            let end_pt = self.line.width_pt;
            self.line.width_pt = start_pt;
            self.script(second, hand);
            self.line.width_pt = self.line.width_pt.max(end_pt);
        }
    }

    fn script(&mut self, which: char, hand: Hand) {
        let shift_em = if which == '^' { SUPER_RISE_EM } else { -SUB_DROP_EM };
        let rise_pt = hand.rise_pt + shift_em * hand.size_pt;
        let inner = Hand { size_pt: hand.size_pt * SCRIPT, rise_pt, script: true, ..hand };
        self.atom(inner, true);
    }

    fn command(&mut self, hand: Hand, first: bool) {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            self.at += 1;
        }
        if self.at == start {
            self.at = (start + 1).min(self.chars.len());
        }
        let name: String = self.chars[start..self.at].iter().collect();
        if let Some(em) = space_em(&name) {
            return self.skip(em, hand);
        }
        if let Some(face) = face_of(&name) {
            return self.atom(Hand { face: Some(face), ..hand }, true);
        }
        if let Some((c, kind)) = symbol_named(&name) {
            while self.peek() == Some(' ') {
                self.at += 1;
            }
            return self.symbol(c, kind, hand, first);
        }
        if FUNCTIONS.contains(&name.as_str()) {
            name.chars().for_each(|c| self.put(c, Face::Regular, hand));
            let close = matches!(self.peek(), Some('(' | '[' | '_' | '^'));
            return self.skip(if close { 0.0 } else { THIN_EM }, hand);
        }
        for c in format!("\\{name}").chars() {
            self.put(c, Face::Regular, hand);
        }
        self.line.unknown.push(name);
    }
}

/// Functions whose names are set upright.
const FUNCTIONS: [&str; 10] = ["log", "ln", "exp", "sin", "cos", "tan", "max", "min", "lim", "det"];

fn width_pt(run: &Run) -> f64 {
    run.text.chars().filter_map(|c| run.face.advance_em(c)).sum::<f64>() * run.size_pt
}

fn kind(c: char) -> Kind {
    match c {
        '=' | '<' | '>' | '+' | '-' | '*' | '×' | '±' | '≤' | '≥' | '≈' => Kind::Operator,
        'α'..='ω' => Kind::Letter,
        c if c.is_ascii_alphabetic() => Kind::Letter,
        _ => Kind::Upright,
    }
}

fn space_em(name: &str) -> Option<f64> {
    Some(match name {
        "," => THIN_EM,
        ":" => 0.22,
        ";" => 0.28,
        " " => 0.30,
        "!" => -THIN_EM,
        "quad" => 1.0,
        "left" | "right" => 0.0,
        _ => return None,
    })
}

fn face_of(name: &str) -> Option<Face> {
    Some(match name {
        "mathrm" | "text" | "rm" => Face::Regular,
        "mathbf" | "textbf" => Face::Bold,
        "mathit" | "textit" => Face::Italic,
        _ => return None,
    })
}

fn symbol_named(name: &str) -> Option<(char, Kind)> {
    use Kind::{Letter, Operator, Upright};
    const LETTERS: &str = "alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η \
        theta θ iota ι kappa κ lambda λ mu μ nu ν xi ξ pi π rho ρ sigma σ tau τ upsilon υ \
        phi ϕ varphi φ chi χ psi ψ omega ω ell ℓ";
    const UPRIGHT: &str = "Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Phi Φ Psi Ψ Omega Ω \
        langle ⟨ rangle ⟩ infty ∞ partial ∂ nabla ∇ odot ⊙ sum ∑ int ∫ sqrt √ hbar ℏ prime ′ \
        degree ° ldots … dots … cdots … Vert ‖ | ‖ % % $ $ & & # # _ _ { { } }";
    const OPERATORS: &str = "times × pm ± mp ∓ cdot · leq ≤ le ≤ geq ≥ ge ≥ neq ≠ approx ≈ \
        sim ∼ simeq ≃ equiv ≡ propto ∝ to → rightarrow → leftarrow ← in ∈ ll ≪ gg ≫ \
        lesssim ≲ gtrsim ≳ oplus ⊕ otimes ⊗";
    const NAMES: [(&str, Kind); 3] = [(LETTERS, Letter), (UPRIGHT, Upright), (OPERATORS, Operator)];
    NAMES.iter().find_map(|(names, kind)| {
        let mut words = names.split_whitespace();
        while let (Some(word), Some(symbol)) = (words.next(), words.next()) {
            if word == name {
                return symbol.chars().next().map(|c| (c, *kind));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(label: &str) -> Vec<(String, Face)> {
        layout(label, 10.0).runs.into_iter().map(|run| (run.text, run.face)).collect()
    }

    #[test]
    fn text_outside_dollars_is_upright_and_inside_is_slanted() {
        let runs = shown("mean $x$");
        assert_eq!(runs, [("mean ".into(), Face::Regular), ("x".into(), Face::Italic)]);
    }

    #[test]
    fn a_unit_with_an_exponent_becomes_small_raised_runs() {
        let line = layout(r"$k\ [h\,\mathrm{Mpc}^{-1}]$", 10.0);
        let text: Vec<&str> = line.runs.iter().map(|run| run.text.as_str()).collect();
        assert_eq!(text, ["k", "[", "h", "Mpc", "−1", "]"]);
        let power = &line.runs[4];
        assert!((power.size_pt - 7.0).abs() < 1e-9 && power.rise_pt > 3.0);
        assert_eq!(line.runs[5].rise_pt, 0.0);
        assert!(line.missing.is_empty() && line.unknown.is_empty());
    }

    #[test]
    fn a_subscript_may_be_a_command_and_both_scripts_share_their_start() {
        let line = layout(r"$P_\mathrm{true}^2$", 10.0);
        assert_eq!(line.runs[1].text, "true");
        assert!(line.runs[1].rise_pt < 0.0 && line.runs[2].rise_pt > 0.0);
        assert_eq!(line.runs[1].x_pt, line.runs[2].x_pt);
        assert!(line.width_pt > line.runs[2].x_pt + 10.0);
    }

    #[test]
    fn runs_are_as_wide_as_their_glyphs() {
        let line = layout("00", 10.0);
        assert!((line.width_pt - 20.0 * Face::Regular.advance_em('0').unwrap()).abs() < 1e-9);
    }

    #[test]
    fn names_of_functions_are_upright() {
        let line = layout(r"$\log_{10}(1+\delta)$", 10.0);
        assert_eq!((line.runs[0].text.as_str(), line.runs[0].face), ("log", Face::Regular));
        assert!(line.unknown.is_empty());
    }

    #[test]
    fn long_labels_break_at_spaces_but_not_inside_mathematics() {
        let lines = wrap("cosine, 25 steps, $x = 2 a$", 8.0, 45.0);
        assert_eq!(lines, ["cosine, 25", "steps, $x = 2 a$"]);
        assert_eq!(wrap("a $x = 2 a$", 8.0, 5.0), ["a", "$x = 2 a$"]);
    }

    #[test]
    fn an_unpaired_dollar_is_a_dollar() {
        assert_eq!(plain("5 $ a map"), "5 $ a map");
    }

    #[test]
    fn unknown_commands_and_missing_characters_are_told_not_dropped_silently() {
        assert_eq!(layout(r"$\foo$", 8.0).unknown, ["foo"]);
        assert_eq!(layout("宇 maps", 8.0).missing, ['宇']);
    }

    #[test]
    fn unfinished_markup_never_panics() {
        for label in ["$", "$$", "$^$", r"$\$", "$x_{a$", r"$\mathrm$", "${$", "$}$", "$_^_$"] {
            layout(label, 8.0);
        }
    }
}
