//! Patterns of signs: text without case, in which each `*` stands for any text.

/// A pattern, made ready for comparison.
#[derive(Clone, Debug)]
pub(super) struct TextPattern {
    /// What stands between the stars, lower case; one part if there is none.
    parts: Vec<String>,
}

impl TextPattern {
    pub fn new(text: &str) -> TextPattern {
        TextPattern {
            parts: text.split('*').map(str::to_lowercase).collect(),
        }
    }

    /// Whether `text`, already in lower case, is like this. Each part is sought once, from where
    /// the last one ended: the time is that of one reading, however many stars there are.
    pub fn is_like(&self, text: &str) -> bool {
        let [first, between @ .., last] = &self.parts[..] else {
            return self.parts.iter().all(|only| only == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for part in between {
            let Some((_, after)) = rest.split_once(part.as_str()) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_like(pattern: &str, text: &str) -> bool {
        TextPattern::new(pattern).is_like(&text.to_lowercase())
    }

    #[test]
    fn a_star_stands_for_any_text_and_for_none() {
        assert!(is_like("Microsoft-IIS/*", "microsoft-iis/6.0"));
        assert!(is_like("Microsoft-IIS/*", "Microsoft-IIS/"));
        assert!(is_like(
            "* Microsoft * Service*",
            "220 mx Microsoft ESMTP MAIL Service, Version"
        ));
        assert!(is_like("*", ""));
        assert!(is_like("nginx", "NGINX"));
    }

    #[test]
    fn all_of_the_text_must_be_like_the_pattern() {
        assert!(!is_like("nginx", "nginx/1.22"));
        assert!(!is_like("IIS*", "Microsoft-IIS/6.0"));
        assert!(!is_like("a*a", "a"), "parts do not share text");
        assert!(!is_like("*b*c*", "c then b"));
        assert!(!is_like("", "x"));
    }
}
