use super::{Comparison, Gate, Required};

/// A gate that does not read; `at` is the first character (counted from 1) that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gate `{gate}`, character {at}: {problem}")]
pub struct GateError {
    pub gate: String,
    pub at: usize,
    pub problem: String,
}

const CHAMPION: &str = "champion.";

/// `metric (>=|>|<=|<) (number | champion.metric [(+|-) number])`
pub(super) fn parse(text: &str) -> Result<Gate, GateError> {
    let mut rest = Cursor { text, at: 0 };
    let start = rest.skip_spaces();
    let metric = rest.metric("the name of a metric, such as `auc`")?;
    if metric == "champion" || metric.starts_with(CHAMPION) {
        return Err(rest.error_at(start, "the left side is the new version's metric; `champion.` belongs on the right"));
    }
    let comparison = rest.comparison()?;
    let start = rest.skip_spaces();
    let required = match rest.peek() {
        Some(c) if c.is_ascii_alphabetic() || c == '_' => {
            let name = rest.metric("a number or a metric of the champion")?;
            let Some(metric) = name.strip_prefix(CHAMPION) else {
                return Err(
                    rest.error_at(start, "expected a number, or a metric of the champion such as `champion.auc`")
                );
            };
            let metric = metric.to_owned();
            Required::OfChampion { metric, offset: rest.offset()? }
        }
        _ => Required::Number(rest.number("a number, or a metric of the champion such as `champion.auc`")?),
    };
    let end = rest.skip_spaces();
    match rest.peek() {
        None => Ok(Gate { metric, comparison, required }),
        Some(_) => Err(rest.error_at(end, "expected nothing more; write one gate a line")),
    }
}

struct Cursor<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_spaces(&mut self) -> usize {
        self.at += self.rest().len() - self.rest().trim_start().len();
        self.at
    }

    /// Takes the longest start of the rest made of such characters.
    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !fits(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn metric(&mut self, wanted: &str) -> Result<String, GateError> {
        let start = self.skip_spaces();
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '%'));
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err(self.error_at(start, &format!("expected {wanted}")));
        }
        match name.split('.').any(str::is_empty) {
            true => Err(self.error_at(start, &format!("`{name}` has an empty part; write names like `test.auc`"))),
            false => Ok(name.to_owned()),
        }
    }

    fn comparison(&mut self) -> Result<Comparison, GateError> {
        let start = self.skip_spaces();
        match self.take_while(|c| matches!(c, '<' | '>' | '=' | '!')) {
            ">=" => Ok(Comparison::AtLeast),
            ">" => Ok(Comparison::Above),
            "<=" => Ok(Comparison::AtMost),
            "<" => Ok(Comparison::Below),
            _ => Err(self.error_at(start, "expected >=, >, <= or <")),
        }
    }

    fn number(&mut self, wanted: &str) -> Result<f64, GateError> {
        let start = self.skip_spaces();
        let sign = self.take_while(|c| matches!(c, '+' | '-')).len();
        self.take_while(|c| c.is_ascii_digit() || c == '.');
        if self.peek().is_some_and(|c| c == 'e' || c == 'E') {
            self.at += 1;
            if self.peek().is_some_and(|c| c == '+' || c == '-') {
                self.at += 1;
            }
            self.take_while(|c| c.is_ascii_digit());
        }
        let number = self.text[start..self.at].parse::<f64>().ok().filter(|number| number.is_finite() && sign <= 1);
        number.ok_or_else(|| self.error_at(start, &format!("expected {wanted}")))
    }

    /// `+ number`, `- number` or nothing.
    fn offset(&mut self) -> Result<f64, GateError> {
        self.skip_spaces();
        let sign = match self.peek() {
            Some('+') => 1.0,
            Some('-') => -1.0,
            _ => return Ok(0.0),
        };
        self.at += 1;
        let start = self.skip_spaces();
        match self.peek() {
            Some(c) if c.is_ascii_digit() || c == '.' => Ok(sign * self.number("a number after the sign")?),
            _ => Err(self.error_at(start, "expected a number after the sign")),
        }
    }

    fn error_at(&self, byte: usize, problem: &str) -> GateError {
        let at = self.text[..byte].chars().count() + 1;
        GateError { gate: self.text.to_owned(), at, problem: problem.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(metric: &str, comparison: Comparison, number: f64) -> Gate {
        Gate { metric: metric.into(), comparison, required: Required::Number(number) }
    }

    fn champion(metric: &str, comparison: Comparison, of: &str, offset: f64) -> Gate {
        Gate { metric: metric.into(), comparison, required: Required::OfChampion { metric: of.into(), offset } }
    }

    #[test]
    fn gates_read_as_written() {
        use Comparison::*;
        let cases = [
            ("auc >= 0.9", number("auc", AtLeast, 0.9)),
            ("auc>=.9", number("auc", AtLeast, 0.9)),
            ("  log_loss < 1.5e-1 ", number("log_loss", Below, 0.15)),
            ("drift.psi <= -1", number("drift.psi", AtMost, -1.0)),
            ("auc >= champion.auc", champion("auc", AtLeast, "auc", 0.0)),
            ("test.auc > champion.test.auc", champion("test.auc", Above, "test.auc", 0.0)),
            ("ks > champion.ks - 0.01", champion("ks", Above, "ks", -0.01)),
            ("ks > champion.ks-0.01", champion("ks", Above, "ks", -0.01)),
            ("brier <= champion.brier + 1e-3", champion("brier", AtMost, "brier", 0.001)),
            ("precision@10 >= 0.5", number("precision@10", AtLeast, 0.5)),
        ];
        for (text, gate) in cases {
            assert_eq!(text.parse(), Ok(gate.clone()), "{text}");
            assert_eq!(gate.to_string().parse(), Ok(gate), "{text}");
        }
    }

    #[test]
    fn mistakes_name_the_place() {
        let cases = [
            ("", 1, "expected the name of a metric"),
            ("0.9 <= auc", 1, "expected the name of a metric"),
            ("auc", 4, "expected >=, >, <= or <"),
            ("auc => 0.9", 5, "expected >=, >, <= or <"),
            ("auc == 0.9", 5, "expected >=, >, <= or <"),
            ("auc >=", 7, "expected a number"),
            ("auc >= high", 8, "such as `champion.auc`"),
            ("auc >= --1", 8, "expected a number"),
            ("auc >= 0.9.1", 8, "expected a number"),
            ("auc >= 0.9 and ks > 1", 12, "expected nothing more"),
            ("auc >= champion", 8, "such as `champion.auc`"),
            ("auc >= champion.", 8, "has an empty part"),
            ("auc >= champion.auc -", 22, "expected a number after the sign"),
            ("auc >= champion.auc * 2", 21, "expected nothing more"),
            ("champion.auc <= 0.9", 1, "belongs on the right"),
            ("test..auc > 1", 1, "has an empty part"),
            ("é > 1", 1, "expected the name of a metric"),
            ("auc > 1 é", 9, "expected nothing more"),
        ];
        for (text, at, problem) in cases {
            let error = text.parse::<Gate>().unwrap_err();
            assert_eq!(error.at, at, "{error}");
            assert!(error.problem.contains(problem), "{error}");
        }
        let error = "auc => 0.9".parse::<Gate>().unwrap_err().to_string();
        assert_eq!(error, "gate `auc => 0.9`, character 5: expected >=, >, <= or <");
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_reads_prints_back(text in "[a-z.@ <>=+\\-0-9eé]{0,24}|(ks|test\\.auc) ?[<>]=? ?(champion\\.ks)? ?[-+]? ?[0-9]{1,3}") {
            if let Ok(gate) = text.parse::<Gate>() {
                prop_assert_eq!(gate.to_string().parse(), Ok(gate));
            }
        }
    }
}
