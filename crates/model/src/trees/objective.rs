use super::fields::Section;
use crate::ModelError;

/// What the raw scores mean.
#[derive(Debug, Clone, PartialEq)]
pub enum Objective {
    /// One output: log odds divided by `sigmoid`.
    Binary { sigmoid: f64 },
    /// One output per class, turned to probabilities by softmax.
    Multiclass,
    /// One output, the prediction itself: regressions, and objectives LightGBM was given as code.
    Identity,
}

const IDENTITIES: [&str; 6] = ["regression", "regression_l1", "huber", "fair", "quantile", "mape"];

impl Objective {
    /// The name used in `model.json`.
    pub fn name(&self) -> &'static str {
        match self {
            Objective::Binary { .. } => "binary",
            Objective::Multiclass => "multiclass",
            Objective::Identity => "regression",
        }
    }

    pub(super) fn parse(header: &Section<'_>, outputs: usize) -> Result<Objective, ModelError> {
        let Some(text) = header.optional("objective") else { return Ok(Objective::Identity) };
        let mut words = text.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        let options: Vec<(&str, &str)> = words.map(|word| word.split_once(':').unwrap_or((word, ""))).collect();
        let option = |wanted: &str| options.iter().find(|(key, _)| *key == wanted).map(|(_, value)| *value);
        let objective = match name {
            "binary" => {
                let sigmoid: f64 = option("sigmoid").unwrap_or("1").parse().unwrap_or(f64::NAN);
                if !(sigmoid.is_finite() && sigmoid > 0.0) {
                    return Err(header.wrong("objective", "its sigmoid is not a positive number"));
                }
                Objective::Binary { sigmoid }
            }
            "multiclass" if option("num_class").and_then(|n| n.parse().ok()) == Some(outputs) => Objective::Multiclass,
            "multiclass" => return Err(header.wrong("objective", "num_class is not num_tree_per_iteration")),
            name if IDENTITIES.contains(&name) && option("sqrt").is_none() => Objective::Identity,
            _ => {
                return Err(ModelError::Unsupported(format!(
                    "the objective `{}` is not one this version scores: binary, multiclass, {}",
                    super::fields::excerpt(text),
                    IDENTITIES.join(", ")
                )));
            }
        };
        if outputs != 1 && objective != Objective::Multiclass {
            return Err(header.wrong("num_tree_per_iteration", "this objective has one tree per iteration"));
        }
        Ok(objective)
    }

    /// One row's outputs, in place. `exp` comes from the `libm` crate, so that every CPU gives the same bits.
    pub fn convert(&self, outputs: &mut [f64]) {
        match self {
            Objective::Identity => {}
            Objective::Binary { sigmoid } => {
                outputs.iter_mut().for_each(|value| *value = 1.0 / (1.0 + libm::exp(-sigmoid * *value)));
            }
            Objective::Multiclass => {
                let largest = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                outputs.iter_mut().for_each(|value| *value = libm::exp(*value - largest));
                let sum: f64 = outputs.iter().sum();
                outputs.iter_mut().for_each(|value| *value /= sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sigmoid_saturates_without_nan() {
        for (raw, score) in [(0.0, 0.5), (-1000.0, 0.0), (1000.0, 1.0), (f64::NEG_INFINITY, 0.0)] {
            let mut outputs = [raw];
            Objective::Binary { sigmoid: 1.0 }.convert(&mut outputs);
            assert_eq!(outputs, [score]);
        }
    }
}
