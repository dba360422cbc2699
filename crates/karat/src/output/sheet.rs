use anyhow::Result;

/// A list of many columns, for programs: values as they are, never rounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Sheet {
    pub fn csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.header)?;
        for row in &self.rows {
            writer.write_record(row)?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_csv_must_quote_is_quoted() {
        let text = |words: [&str; 2]| words.map(str::to_owned).to_vec();
        let sheet = Sheet { header: text(["name", "words"]), rows: vec![text(["a,b", "say \"so\"\nnow"])] };
        assert_eq!(sheet.csv().unwrap(), "name,words\n\"a,b\",\"say \"\"so\"\"\nnow\"\n");
    }
}
