// What a command takes over from the files that it is given, where its command line says nothing:
// how a run prepared its data, and the split of everything that was made from data.
#pragma once

#include <string>

#include "cli/arguments.h"
#include "retort/synthetic/bundle.h"

namespace retort::cli {

/// The data options of a run's recipe, or of the one that a bundle carries (but its path): the same
/// preprocessing and parts without repeating flags. After parsing: what was given stays.
void take_run_options(const std::string& target, OptionSet& options);

/// The split that a set, a teacher, a file of labels, or a folder of one of them or of experts was
/// made with. After parsing: what was given stays. Nothing where the file does not say; whoever
/// reads it afterwards checks it.
void take_split_of(const std::string& path, OptionSet& options);

/// A set that leaves its whitening to the data set: StateError where the data are to be whitened
/// otherwise than its recipe says. After everything that is taken over.
void check_whitening_of(const std::string& path, const OptionSet& options);

/// A set that is to be used with `data`: StateError where its classes, shapes or split are others;
/// a note on `err` where its split is not known. Takes from the data the whitening that it leaves
/// out.
void fit_to_data(const Environment& environment, const std::string& doing,
                 const std::string& target, const data::Dataset& data, synthetic::Bundle& bundle);

}  // namespace retort::cli
