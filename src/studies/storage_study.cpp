#include "studies/storage_study.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/sizes.h"
#include "retort/core/error.h"

namespace retort::studies {
namespace {

int64_t whole_number(const std::string& text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  if (problem != std::errc() || stop != end || value < 1 || value > 1000000)
    throw ConfigError(ErrorMessage{"reading --storage",
                                   "'" + text + "' is not a number of classes",
                                   "whole numbers from 1 to 1000000, such as 10,50,100",
                                   {}});
  return value;
}

/// Bytes of the smallest set of at least `images` images of each class; nothing where no budget of
/// up to as many pixel images holds one. On the meta device nothing is allocated.
std::optional<int64_t> bytes_of(const synthetic::ParametrisationKind& kind,
                                synthetic::SetLayout budget, int64_t images) {
  for (int64_t each = 1; each <= images; ++each) {
    budget.counts.assign(budget.counts.size(), each);
    try {
      const auto made = kind.make({budget, at::kMeta});
      if (made->layout().counts[0] < images) continue;
      int64_t bytes = budget.classes() * static_cast<int64_t>(sizeof(int64_t));  // labels
      for (const auto& [name, tensor] : made->compact())
        bytes += static_cast<int64_t>(tensor.nbytes());
      return bytes;
    } catch (const ConfigError&) {
      if (each == images) throw;
    }
  }
  return std::nullopt;
}

}  // namespace

void StorageStudy::declare(OptionSet& set) {
  set.group("Storage");
  set.add("storage", classes_, "numbers of classes: stored bytes of every parametrisation");
  set.add("images_per_class", images_, "images of each class that every set decodes to",
          {.min = 1, .max = 100000});
  for (const auto& entry : synthetic::parametrisation_table()) {
    kinds_.push_back(entry.make());
    kinds_.back()->declare(set);
  }
}

report::Chart StorageStudy::chart(const data::Dataset& data) const {
  report::Chart chart{fmt::format("Storage of {} image{} of each class, {}", images_,
                                  images_ == 1 ? "" : "s", data.name),
                      "classes",
                      "stored bytes",
                      {}};
  chart.log_y = true;
  for (size_t i = 0; wanted() && i < kinds_.size(); ++i) {
    OptionSet own;
    kinds_[i]->declare(own);
    // As many addressing matrices as images are asked for, not as a budget holds.
    Problems none;
    if (const Option* matrices = own.find("addressers"); matrices && matrices->text() == "0")
      own.set("addressers", std::to_string(images_), "", none);
    report::Series series{synthetic::parametrisation_table()[i].name, {}};
    for (const std::string& text : classes_) {
      const int64_t classes = whole_number(text);
      synthetic::SetLayout budget{std::vector<int64_t>(to_size(classes), 1), data.channels,
                                  data.height, data.width};
      if (const auto bytes = bytes_of(*kinds_[i], budget, images_))
        series.points.emplace_back(classes, *bytes);
    }
    std::sort(series.points.begin(), series.points.end());
    chart.series.push_back(series);
  }
  return chart;
}

std::string StorageStudy::note() const {
  std::vector<std::string> settings;
  for (const auto& kind : kinds_) {
    OptionSet own;
    kind->declare(own);
    for (const Option& option : own.all())
      if (option.type_name() == "integer")
        settings.push_back(fmt::format("{} {}", option.flag(), option.text()));
  }
  return fmt::format(
      "Storage: the smallest set that decodes to at least {} images of each class, labels and "
      "chosen frequencies included; {}.",
      images_, fmt::join(settings, ", "));
}

}  // namespace retort::studies
