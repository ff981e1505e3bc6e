"""What triggers do with the owner's rights, they do on our tables alone.

Whoever may execute such a function may hang it on a table of their own: a reader of what serves could have added to it.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# asked for when a trigger is made, not when it fires: who publishes needs none
FUNCTIONS = "serving.add_served(), serving.empty_artifact(), serving.only_emptied()"


def upgrade() -> None:
    op.execute(f"REVOKE EXECUTE ON FUNCTION {FUNCTIONS} FROM PUBLIC")


def downgrade() -> None:
    op.execute(f"GRANT EXECUTE ON FUNCTION {FUNCTIONS} TO PUBLIC")
