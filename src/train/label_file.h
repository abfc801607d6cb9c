// What reading and writing a file of labels share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/train/soft_labels.h"

namespace retort::train {

/// First rows of the kept batches, and the end.
std::vector<int64_t> row_offsets(const LabelPlan& plan, const std::vector<int64_t>& kept);
/// The bytes of the file before its rows.
std::string label_header(const LabelPlan& plan);

}  // namespace retort::train
