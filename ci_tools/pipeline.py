"""Plan, provision, run, collect, judge, publish, in that order."""
