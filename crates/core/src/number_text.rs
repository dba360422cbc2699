/// 777715 as `777,715`.
pub fn thousands(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in
            [(0u64, "0"), (999, "999"), (1000, "1,000"), (777_715, "777,715"), (1_048_575, "1,048,575")]
        {
            assert_eq!(thousands(number), text);
        }
    }
}
