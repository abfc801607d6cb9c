// What sets take to store, by their number of classes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "retort/core/options.h"
#include "retort/data/dataset.h"
#include "retort/report/page.h"
#include "retort/synthetic/parametrisation.h"

namespace retort::studies {

class StorageStudy {
 public:
  /// The options of every parametrisation among others.
  void declare(OptionSet& set);
  bool wanted() const { return !classes_.empty(); }
  /// Stored bytes over the number of classes, a line for each parametrisation, in budgets just
  /// large enough for the images of each class that are asked for. ConfigError on what is no number
  /// of classes.
  report::Chart chart(const data::Dataset& data) const;
  std::string note() const;

 private:
  std::vector<std::string> classes_;
  int64_t images_ = 10;
  std::vector<std::unique_ptr<synthetic::ParametrisationKind>> kinds_;
};

}  // namespace retort::studies
