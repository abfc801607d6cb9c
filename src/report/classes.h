// How an evaluation went class by class. No torch here.
#pragma once

#include <optional>
#include <vector>

#include "report/record_fields.h"
#include "retort/report/page.h"

namespace retort::report {

/// Accuracies of the classes, the lowest first; of many classes the lowest alone. Nothing where the
/// result does not say them.
std::optional<Table> class_table(const Json& evaluation, const Json& result);

/// What images of each class are taken for; nothing where the result has no counts or the classes
/// are more than a picture shows.
std::optional<HeatMap> confusion_map(const Json& evaluation, const Json& result);

/// The classes that are most often taken for another, where a picture does not show them by name.
std::optional<Table> confused_pairs(const Json& evaluation, const Json& result);

}  // namespace retort::report
