"""Problems whose examples are drawn, not stored."""
