use std::collections::HashSet;

/// Names LightGBM accepts, unique and in order: it refuses characters special to JSON and splits its text at spaces, so
/// those become `_`. The model's own signature keeps the real names.
pub fn feature_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    names
        .into_iter()
        .map(|name| {
            let clean: String = name.chars().map(|c| if is_special(c) { '_' } else { c }).collect();
            let clean = if clean.is_empty() { "_".to_owned() } else { clean };
            let numbered = (2..).map(|number| format!("{clean}_{number}"));
            let free = std::iter::once(clean.clone()).chain(numbered).find(|candidate| !taken.contains(candidate));
            let free = free.expect("numbers do not run out");
            taken.insert(free.clone());
            free
        })
        .collect()
}

fn is_special(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | ',' | ':' | '[' | ']' | '{' | '}' | '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_stay_apart() {
        let names = ["age", "a b", "a:b", "a_b_2", "", "věk", "x=1"];
        assert_eq!(feature_names(names), ["age", "a_b", "a_b_2", "a_b_2_2", "_", "věk", "x_1"]);
    }
}
