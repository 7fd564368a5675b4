"""Small jitted pieces that several monitors share."""
