// A search as tables, pictures, JSON and CSV.
#pragma once

#include <string>
#include <vector>

#include "eval/search.h"
#include "retort/report/page.h"

namespace retort::cli {

report::Page search_page(const eval::SearchResult& result, const std::string& recipe);
/// A line for every network: its accuracies on the validation part by proxy, and the test accuracy
/// after training on the whole set. The same bytes whenever they are found.
std::string search_csv(const eval::SearchResult& result);

}  // namespace retort::cli
