// The records of a stream's folder as lines of a table and as a page.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "continual/continual.h"
#include "core/mean.h"
#include "retort/core/records.h"
#include "retort/report/page.h"

namespace retort::continual {

/// What one method, used in one way, reached on a stream, over its orders and networks.
struct Line {
  std::string name, use;
  std::vector<std::vector<double>> seen;  ///< by task: accuracies on the tasks so far
  std::vector<Transfer> transfers;        ///< of every order and network that is through
  int64_t orders = 0;                     ///< that are through
  int64_t stored_bytes = 0;               ///< after the last task known
  int64_t steps = 0;                      ///< of training, up to the last task
  int64_t buffered_samples = 0;
  std::string title() const { return name == use ? name : name + ", " + use; }
};

/// Over transfers, of one of their fields.
MeanDeviation mean_deviation(const std::vector<Transfer>& transfers, double Transfer::*field);

/// The lines of a stream's folder, in the order of their first record; DataError where its records
/// are damaged.
std::vector<Line> read_lines(const std::filesystem::path& folder);

/// True where the folder is that of a stream: `retort continual --out FOLDER`.
bool is_stream_folder(const std::filesystem::path& folder);

/// The page of a stream's folder.
report::Page stream_page(const std::filesystem::path& folder);

}  // namespace retort::continual
