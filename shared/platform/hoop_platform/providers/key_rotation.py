"""Re-encryption of all credentials under the newest key, while the system runs."""

from hoop_platform.db.database import Database
from hoop_platform.secrets import Cipher, context


async def reseal(database: Database, cipher: Cipher) -> int:
    """Seal all credentials with the cipher's first key; returns how many were written.

    Run it after the new key was put in front everywhere, and before the old one is removed. A
    credential that is refreshed meanwhile is left alone: the refresh has sealed it with the new key already.
    Raises `Unsealable` when one opens with none of the keys.
    """
    rows = await database.fetch(
        "SELECT account_id, provider, provider_user, sealed FROM credential"
    )
    written = 0
    for row in rows:
        aad = (row["account_id"], row["provider"], row["provider_user"])
        status = await database.execute(
            """
            UPDATE credential SET sealed = $5
             WHERE account_id = $1 AND provider = $2 AND provider_user = $3 AND sealed = $4
            """,
            *aad,
            row["sealed"],
            cipher.reseal(row["sealed"], aad=context(*aad)),
        )
        written += status == "UPDATE 1"
    return written
