// Heat maps as inline SVG; colours come from the style sheet of the page. No torch here.
#pragma once

#include <string>

#include "retort/report/page.h"

namespace retort::report {

/// A <figure> with caption and drawing. `id` is unique on the page.
std::string heat_map_html(const HeatMap& map, const std::string& id);

}  // namespace retort::report
