// Teachers measured for the study of their BatchNorm statistics.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "retort/core/progress.h"
#include "retort/data/dataset.h"
#include "studies/statistics_study.h"

namespace retort::studies {

/// A teacher under a name that tells it from the others.
struct Named {
  std::string name;
  teachers::Teacher teacher;
  bool control = false;
};

/// Folders of `retort squeeze` or files of teachers. ConfigError where one keeps no running
/// statistics; StateError where it does not fit the data.
std::vector<Named> read_teachers(const std::vector<std::string>& paths, const data::Dataset& data);

struct StatisticsOptions {
  int64_t images = 2048;     ///< training images to recalibrate BatchNorm on
  int64_t batch_size = 256;  ///< of a pass for them
  double gauge = 0;          ///< factor of the rescaled controls; 0: none
  int64_t seed = 0;          ///< of noise and of the choice of images
};

/// All teachers with one kind of statistics.
struct Kind {
  std::string name;
  std::vector<Measured> teachers;
};

/// With the stored statistics, then with recalibrated ones, those of plain images.
std::vector<Kind> measure_all(const std::vector<Named>& teachers, const data::Dataset& data,
                              const StatisticsOptions& options, const ProgressStyle& style);

}  // namespace retort::studies
