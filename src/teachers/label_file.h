// What reading and writing a file of labels share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "teachers/soft_labels.h"

namespace retort::teachers {

/// First rows of the kept batches, and the end.
std::vector<int64_t> row_offsets(const LabelPlan& plan, const std::vector<int64_t>& kept);
/// What the file holds: hashes of the kept batches, rows of all of them.
std::map<std::string, RawTensor> label_tensors(const LabelPlan& plan);
/// The header, not sealed; behind it come the hashes, and the rows at `label_start`.
std::string label_header(const LabelPlan& plan);
int64_t label_start(const LabelPlan& plan);

}  // namespace retort::teachers
