"""What people look at: flamegraphs, tables, pages."""
