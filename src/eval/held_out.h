// A part of the training images to choose settings by, where the data have no validation part.
#pragma once

#include "retort/data/dataset.h"

namespace retort::eval {

/// The data with `fraction` of the training images of every class as the validation part. Data that
/// have one come back as they are. The preprocessing stays.
data::Dataset with_validation(const data::Dataset& data, double fraction, int64_t seed);

}  // namespace retort::eval
