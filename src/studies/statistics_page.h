// What a study of BatchNorm statistics found, as a page and as figures.
#pragma once

#include "retort/core/records.h"
#include "retort/report/page.h"
#include "studies/statistics_measures.h"

namespace retort::studies {

/// `kinds` are those of measure_all().
report::Page statistics_page(const std::vector<Kind>& kinds, const data::Dataset& data,
                             const Verdict& verdict);
Json statistics_json(const std::vector<Kind>& kinds, const Verdict& verdict);

}  // namespace retort::studies
