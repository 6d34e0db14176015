/// Declares a section of the configuration: a struct, and the [`Key`](super::Key) of each of its fields. What a field's
/// comment says is what `docs/configuration.md` says.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        $section:ident $prefix:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $default:literal $(, dev $dev:literal)? $(, env $($alias:literal)+)?;
            )+
        }
        $(with { $( $(#[doc = $part_doc:literal])+ $part:ident: $part_type:ty; )+ })?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub struct $section {
            $(
                $(#[doc = $doc])+
                #[doc = concat!("\n\nDefault: `", $default, "`" $(, "; under `loglake dev`: `", $dev, "`")?, ".")]
                pub $field: $type,
            )+
            $($( $(#[doc = $part_doc])+ pub $part: $part_type, )+)?
        }

        impl $section {
            pub(in crate::config) const KEYS: &'static [$crate::config::Key] = &[$(
                $crate::config::Key {
                    name: concat!($prefix, stringify!($field)),
                    aliases: &[$($($alias),+)?],
                    shape: <$type as $crate::config::Value>::SHAPE,
                    default: $default,
                    dev_default: $crate::config::declare::first(&[$($dev)?]),
                    doc: &[$($doc),+],
                    hides: <$type as $crate::config::Value>::hides,
                },
            )+];

            pub(in crate::config) fn read(values: &mut $crate::config::values::Values) -> Self {
                Self {
                    $( $field: values.take(concat!($prefix, stringify!($field))), )+
                    $($( $part: <$part_type>::read(values), )+)?
                }
            }
        }
    };
}

pub(in crate::config) use settings;

/// The first of at most one.
pub(in crate::config) const fn first(of: &[&'static str]) -> Option<&'static str> {
    match of {
        [one, ..] => Some(one),
        [] => None,
    }
}
