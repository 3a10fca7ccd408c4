"""An engine of SQLAlchemy lives as long as the session, with its pool."""

import pytest
import sqlalchemy


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path_factory.mktemp('db') / 'it.db'}")
    yield engine
    engine.dispose()


def test_one(engine):
    with engine.begin() as connection:
        assert connection.execute(sqlalchemy.text("select 1")).scalar() == 1


def test_two(engine):
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("select 2")).scalar() == 2
