"""Which account and region each connection was seen to reach, so that caps are held in each of its own."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COMMENT = "Account and region, by the ARNs of the clusters that were listed; null: none was listed yet"


def upgrade() -> None:
    op.execute("ALTER TABLE operations.listing ADD COLUMN account text")
    op.execute(f"COMMENT ON COLUMN operations.listing.account IS '{COMMENT}'")


def downgrade() -> None:
    op.execute("ALTER TABLE operations.listing DROP COLUMN account")
