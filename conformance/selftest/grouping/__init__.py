"""One cause for each mutant: how often the findings of a layer with one defect are one cause of the right family."""
