"""The screens, each beside its style sheet, imported when first opened."""
