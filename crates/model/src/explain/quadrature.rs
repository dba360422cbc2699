//! Gauss-Legendre rules on [0, 1].

/// Points `t` and their weights.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub weights: Vec<f64>,
    pub points: Vec<f64>,
    /// `1 - t`, computed as the mirrored point: points lie symmetrically.
    pub complements: Vec<f64>,
}

impl Rule {
    /// Exact for polynomials of degree `2 n - 1`. Newton's method on the Legendre polynomial of degree `n`, from the usual
    /// cosine estimate of its roots (Abramowitz and Stegun 25.4.30); only + - * / and `libm`, so equal on every CPU.
    pub(super) fn gauss_legendre(n: usize) -> Rule {
        let mut points = vec![0.0; n];
        let mut weights = vec![0.0; n];
        for i in 0..n.div_ceil(2) {
            let mut x = libm::cos(std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5));
            let mut slope = 0.0;
            for _ in 0..100 {
                let (value, derivative) = legendre(n, x);
                let step = value / derivative;
                x -= step;
                slope = derivative;
                if step.abs() <= 1e-16 {
                    break;
                }
            }
            // From [-1, 1] to [0, 1].
            let weight = 1.0 / ((1.0 - x * x) * slope * slope);
            (points[i], points[n - 1 - i]) = (0.5 * (1.0 - x), 0.5 * (1.0 + x));
            (weights[i], weights[n - 1 - i]) = (weight, weight);
        }
        let complements: Vec<f64> = points.iter().rev().copied().collect();
        Rule { weights, points, complements }
    }
}

/// The Legendre polynomial of degree `n` at `x`, and its derivative there.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut now) = (1.0, x);
    for degree in 2..=n {
        let degree = degree as f64;
        (before, now) = (now, ((2.0 * degree - 1.0) * x * now - (degree - 1.0) * before) / degree);
    }
    (now, n as f64 * (x * now - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::plan::POINTS;

    #[test]
    fn rules_integrate_every_power_they_promise() {
        for n in POINTS {
            let rule = Rule::gauss_legendre(n);
            for power in 0..2 * n as i32 {
                let sum: f64 = rule.points.iter().zip(&rule.weights).map(|(t, w)| w * t.powi(power)).sum();
                let exact = 1.0 / f64::from(power + 1);
                assert!((sum - exact).abs() <= 1e-14, "{n} points, power {power}: {sum} for {exact}");
            }
        }
    }

    #[test]
    fn points_rise_inside_the_interval() {
        for n in POINTS {
            let points = Rule::gauss_legendre(n).points;
            assert!(points[0] > 0.0 && points[n - 1] < 1.0 && points.is_sorted());
        }
    }
}
