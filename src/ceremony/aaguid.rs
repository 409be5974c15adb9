//! Names for passkeys in lists: "Apple Passwords" tells a person more than an AAGUID.
//!
//! What must always hold: a name is for display only and decides nothing. Without attestation, an authenticator can
//! claim any AAGUID, and one that claims none (all zero) has no name.
//!
//! To add a name: a row at its place in the order (a test checks the order), confirmed by two independent sources.
//! Sources: the community list github.com/passkeydeveloper/passkey-authenticator-aaguids (August 2026) for passkey
//! providers; Yubico's published list of YubiKey AAGUIDs for security keys, where models that share an AAGUID have
//! their common name. Only the facts were taken; the table is our own.

use uuid::{Uuid, uuid};

/// In ascending order.
const NAMES: [(Uuid, &str); 55] = [
    (uuid!("08987058-cadc-4b81-b6e1-30de50dcbe96"), "Windows Hello"),
    (uuid!("0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6"), "Keeper"),
    (uuid!("149a2021-8ef6-4133-96b8-81f8d5b7f1f5"), "Security Key NFC by Yubico"),
    (uuid!("19083c3d-8383-4b18-bc03-8f1c9ab2fd1b"), "YubiKey 5"),
    (uuid!("22248c4c-7a12-46e2-9a41-44291b373a4d"), "LogMeOnce"),
    (uuid!("24673149-6c86-42e7-98d9-433fb5b73296"), "YubiKey 5Ci"),
    (uuid!("2fc0579f-8113-47ea-b116-bb5a8db9202a"), "YubiKey 5 NFC"),
    (uuid!("39a5647e-1853-446c-a1f6-a79bae9f5bc7"), "IDmelon"),
    (uuid!("42b4fb4a-2866-43b2-9bf7-6c6669c2e5d3"), "Google Titan Security Key"),
    (uuid!("50726f74-6f6e-5061-7373-50726f746f6e"), "Proton Pass"),
    (uuid!("531126d6-e717-415c-9320-3d9aa6981239"), "Dashlane"),
    (uuid!("53414d53-554e-4700-0000-000000000000"), "Samsung Pass"),
    (uuid!("57f7de54-c807-4eab-b1c6-1c9be7984e92"), "YubiKey 5 FIPS"),
    (uuid!("6028b017-b1d4-4c02-b4b3-afcdafc96bb2"), "Windows Hello"),
    (uuid!("6d44ba9b-f6ec-2e49-b930-0c8fe920cb73"), "Security Key NFC by Yubico"),
    (uuid!("73bb0cd4-e502-49b8-9c6f-b59445bf720b"), "YubiKey 5 FIPS"),
    (uuid!("771b48fd-d3d4-4f74-9232-fc157ab0507a"), "Edge on Mac"),
    (uuid!("7d1351a6-e097-4852-b8bf-c9ac5c9ce4a3"), "YubiKey Bio"),
    (uuid!("83c47309-aabb-4108-8470-8be838b573cb"), "YubiKey Bio"),
    (uuid!("85203421-48f9-4355-9bc8-8a53846e5083"), "YubiKey 5Ci FIPS"),
    (uuid!("90a3ccdf-635c-4729-a248-9b709135078f"), "Microsoft Authenticator"),
    (uuid!("9ddd1817-af5a-4672-a2b9-3e3dd95000a9"), "Windows Hello"),
    (uuid!("a02167b9-ae71-4ac7-9a07-06432ebb6f1c"), "YubiKey 5Ci"),
    (uuid!("a10c6dd9-465e-4226-8198-c7c44b91c555"), "Kaspersky Password Manager"),
    (uuid!("a11a5faa-9f32-4b8c-8c5d-2f7d13e8c942"), "AliasVault"),
    (uuid!("a25342c0-3cdc-4414-8e46-f4807fca511c"), "YubiKey 5 NFC"),
    (uuid!("a4e9fc6d-4cbe-4758-b8ba-37598bb5bbaa"), "Security Key NFC by Yubico"),
    (uuid!("adce0002-35bc-c60a-648b-0b25f1f05503"), "Chrome on Mac"),
    (uuid!("b35a26b2-8f6e-4697-ab1d-d44db4da28c6"), "Zoho Vault"),
    (uuid!("b5397666-4885-aa6b-cebf-e52262a439a2"), "Chromium"),
    (uuid!("b78a0a55-6ef8-d246-a042-ba0f6d55050c"), "LastPass"),
    (uuid!("b84e4048-15dc-4dd0-8640-f4f60813c8af"), "NordPass"),
    (uuid!("b92c3f9a-c014-4056-887f-140a2501163b"), "Security Key by Yubico"),
    (uuid!("bada5566-a7aa-401f-bd96-45619a55120d"), "1Password"),
    (uuid!("c1f9a0bc-1dd2-404a-b27f-8e29047a43fd"), "YubiKey 5 NFC FIPS"),
    (uuid!("c5ef55ff-ad9a-4b9f-b580-adebafe026d0"), "YubiKey 5Ci"),
    (uuid!("cb69481e-8ff7-4039-93ec-0a2729a154a8"), "YubiKey 5"),
    (uuid!("d3452668-01fd-4c12-926c-83a4204853aa"), "Microsoft Password Manager"),
    (uuid!("d548826e-79b4-db40-a3d8-11116f7e8349"), "Bitwarden"),
    (uuid!("d7781e5d-e353-46aa-afe2-3ca49f13332a"), "YubiKey 5 NFC"),
    (uuid!("d8522d9f-575b-4866-88a9-ba99fa02f35b"), "YubiKey Bio"),
    (uuid!("d9be9d39-e6a6-4c28-a581-32b044d986e4"), "Sticky Password Manager"),
    (uuid!("dd4ec289-e01d-41c9-bb89-70fa845d4bf2"), "iCloud Keychain (managed)"),
    (uuid!("de1e552d-db1d-4423-a619-566b625cdc84"), "Microsoft Authenticator"),
    (uuid!("de503f9c-21a4-4f76-b4b7-558eb55c6f89"), "Devolutions"),
    (uuid!("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"), "Google Password Manager"),
    (uuid!("eaecdef2-1c31-5634-8639-f1cbd9c00a08"), "KeePassDX"),
    (uuid!("ee882879-721c-4913-9775-3dfcce97072a"), "YubiKey 5"),
    (uuid!("f3809540-7f14-49c1-a8b3-8f813b225541"), "Enpass"),
    (uuid!("f8a011f3-8c0a-4d15-8006-17111f9edc7d"), "Security Key by Yubico"),
    (uuid!("fa2b99dc-9e39-4257-8f92-4a30d23c4118"), "YubiKey 5 NFC"),
    (uuid!("fa37f553-f9b6-4adb-ac53-8bbb57ebdf0d"), "Norton Password Manager"),
    (uuid!("fbfc3007-154e-4ecc-8c0b-6e020557d7bd"), "Apple Passwords"),
    (uuid!("fdb141b2-5d84-443e-8a35-4698c205a502"), "KeePassXC"),
    (uuid!("ff4dac45-ede8-4ec2-aced-cf66103f4335"), "YubiKey 5"),
];

/// The name of an authenticator model, or `None` when it is unknown or all zero.
///
/// ```
/// let aaguid = uuid::uuid!("bada5566-a7aa-401f-bd96-45619a55120d");
/// assert_eq!(passmint::ceremony::aaguid::name(aaguid), Some("1Password"));
/// ```
pub fn name(aaguid: Uuid) -> Option<&'static str> {
    let index = NAMES.binary_search_by_key(&aaguid, |&(known, _)| known).ok()?;
    Some(NAMES[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_so_that_the_search_finds_every_row() {
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (aaguid, expected) in NAMES {
            assert_eq!(name(aaguid), Some(expected));
            assert!((1..=40).contains(&expected.len()));
        }
    }

    #[test]
    fn well_known_providers_have_their_names() {
        for (aaguid, expected) in [
            (uuid!("fbfc3007-154e-4ecc-8c0b-6e020557d7bd"), Some("Apple Passwords")),
            (uuid!("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"), Some("Google Password Manager")),
            (uuid!("08987058-cadc-4b81-b6e1-30de50dcbe96"), Some("Windows Hello")),
            (uuid!("d548826e-79b4-db40-a3d8-11116f7e8349"), Some("Bitwarden")),
            (uuid!("2fc0579f-8113-47ea-b116-bb5a8db9202a"), Some("YubiKey 5 NFC")),
            (Uuid::nil(), None),
            (Uuid::max(), None),
            (uuid!("fbfc3007-154e-4ecc-8c0b-6e020557d7be"), None),
        ] {
            assert_eq!(name(aaguid), expected, "{aaguid}");
        }
    }
}
