//! Patterns of signs: text without case, in which each `*` stands for any text.

use memchr::memmem::Finder;

/// A pattern, made ready for comparison: every text that is said anywhere is compared with many.
#[derive(Clone, Debug)]
pub(super) struct TextPattern {
    /// What stands before the first star, lower case; all of it if there is none.
    first: String,
    /// What stands between the stars, and after the last one; none if there is no star.
    rest: Option<(Vec<Finder<'static>>, String)>,
}

impl TextPattern {
    pub fn new(text: &str) -> TextPattern {
        let text = text.to_lowercase();
        let mut parts = text.split('*');
        let first = parts.next().unwrap_or_default().to_owned();
        let finder = |part| Finder::new(part).into_owned();
        let rest = (parts.next_back()).map(|last| (parts.map(finder).collect(), last.to_owned()));
        TextPattern { first, rest }
    }

    /// Whether `text`, already in lower case, is like this. Each part is sought once, from where
    /// the last one ended: the time is that of one reading, however many stars there are.
    pub fn is_like(&self, text: &str) -> bool {
        let Some((between, last)) = &self.rest else {
            return self.first == text;
        };
        let within = (text.as_bytes().strip_prefix(self.first.as_bytes()))
            .and_then(|rest| rest.strip_suffix(last.as_bytes()));
        let Some(mut within) = within else {
            return false;
        };
        for part in between {
            let Some(at) = part.find(within) else {
                return false;
            };
            within = &within[at + part.needle().len()..];
        }
        true
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
