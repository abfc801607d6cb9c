// Charts as inline SVG; colours come from the style sheet of the page. No torch here.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "retort/report/page.h"

namespace retort::report {

using Points = std::vector<std::pair<double, double>>;

/// At most about `limit` of the points, in order: of every stretch its least and greatest, so that
/// no peak is lost.
Points thin(const Points& points, size_t limit);

/// A <figure> with title, legend and drawing. `id` is unique on the page.
std::string chart_html(const Chart& chart, const std::string& id);

}  // namespace retort::report
