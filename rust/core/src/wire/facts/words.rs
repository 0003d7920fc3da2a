//! Fields that hold one word out of a few.

/// Gives an enum its words: how they are read, how they are written.
macro_rules! words {
    ($type:ident { $first:ident = $first_word:literal $(, $variant:ident = $word:literal)* $(,)? }) => {
        impl $type {
            /// The word that stands for it in messages.
            pub(crate) const fn word(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct WordVisitor;
                impl serde::de::Visitor<'_> for WordVisitor {
                    type Value = $type;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("one of ", $first_word $(, " ", $word)*))
                    }
                    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<$type, E> {
                        match word {
                            $first_word => Ok($type::$first),
                            $($word => Ok($type::$variant),)*
                            _ => Err(E::custom(concat!("must be one of ", $first_word $(, " ", $word)*))),
                        }
                    }
                }
                from.deserialize_str(WordVisitor)
            }
        }
    };
}

pub(crate) use words;
