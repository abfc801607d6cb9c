#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "retort/continual/continual.h"
#include "retort/core/records.h"
#include "retort/report/page.h"

namespace retort::cli {

/// What one method, used in one way, reached on a stream, over its orders and networks.
struct ContinualLine {
  std::string name, use;
  std::vector<std::vector<double>> seen;       ///< by task: accuracies on the tasks so far
  std::vector<continual::Transfer> transfers;  ///< of every order and network that is through
  int64_t orders = 0;                          ///< that are through
  int64_t stored_bytes = 0;                    ///< after the last task known
  int64_t steps = 0;                           ///< of training, up to the last task
  int64_t buffered_samples = 0;
  std::string title() const { return name == use ? name : name + ", " + use; }
};

/// Mean and population standard deviation.
struct Spread {
  double mean = 0, deviation = 0;
};
Spread spread_of(const std::vector<double>& values);
Spread spread_of(const std::vector<continual::Transfer>& transfers,
                 double continual::Transfer::*field);

/// The lines of a stream's folder, in the order of their first record; DataError where its records
/// are damaged.
std::vector<ContinualLine> continual_lines(const std::filesystem::path& folder);

/// True where the folder is that of a stream: `retort continual --out FOLDER`.
bool is_continual(const std::filesystem::path& folder);

/// The page of a stream's folder.
report::Page continual_page(const std::filesystem::path& folder);

}  // namespace retort::cli
