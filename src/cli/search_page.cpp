#include "cli/search_page.h"

#include <fmt/format.h>

#include <cmath>

#include "core/version.h"

namespace retort::cli {
namespace {

std::string correlation_text(const eval::Correlation& found) {
  if (!std::isfinite(found.value)) return "-";
  return fmt::format("{:.2f} [{:.2f}, {:.2f}]", found.value, found.low, found.high);
}

/// How well each proxy ranks, where the whole set is there to hold it against.
report::Table rankings(const eval::SearchResult& result) {
  report::Table table{"Correlation with the whole set", {"proxy", "all networks"}, {}};
  for (const eval::Correlation& top : result.proxies.front().top)
    table.head.push_back(fmt::format("top {}", top.count));
  for (const eval::ProxyResult& proxy : result.proxies) {
    std::vector<std::string> row{proxy.name, correlation_text(*proxy.all)};
    for (const eval::Correlation& top : proxy.top) row.push_back(correlation_text(top));
    table.rows.push_back(row);
  }
  return table;
}

report::Table costs_and_choices(const eval::SearchResult& result) {
  report::Table table{"What it takes and chooses",
                      {"proxy", "images", "bytes", "steps", "time, one thread", "chosen"},
                      {}};
  const bool held = !result.whole.empty();
  if (held) table.head.push_back("its accuracy %");
  for (const eval::ProxyResult& proxy : result.proxies) {
    std::vector<std::string> row{proxy.name,
                                 std::to_string(proxy.images),
                                 format_bytes(static_cast<double>(proxy.bytes)),
                                 std::to_string(proxy.steps),
                                 format_duration(proxy.seconds),
                                 proxy.chosen};
    if (held) row.push_back(fmt::format("{:.1f}", 100 * *proxy.accuracy));
    table.rows.push_back(row);
  }
  return table;
}

report::Chart scatter(const eval::SearchResult& result) {
  report::Chart chart{"Networks trained on a proxy and on the whole set",
                      "validation accuracy after the proxy, %",
                      "test accuracy after the whole set, %",
                      {}};
  for (size_t p = 0; p + 1 < result.proxies.size(); ++p) {
    report::Series series{result.proxies[p].name, {}};
    series.dots = true;
    for (size_t n = 0; n < result.whole.size(); ++n)
      series.points.emplace_back(100 * result.proxies[p].validation[n], 100 * result.whole[n]);
    chart.series.push_back(series);
  }
  return chart;
}

}  // namespace

report::Page search_page(const eval::SearchResult& result, const std::string& recipe) {
  report::Page page;
  page.title = "Architecture search";
  page.summary = fmt::format("{} networks, ranked on {} validation images", result.networks.size(),
                             result.validation_images);
  page.tables_title = "Proxies";
  if (!result.whole.empty()) page.tables.push_back(rankings(result));
  page.tables.push_back(costs_and_choices(result));
  if (result.whole.size() > 1 && result.proxies.size() > 1) page.charts = {scatter(result)};
  page.notes = {
      "Correlation: Spearman's, of accuracies on the validation part after training on the proxy "
      "with test accuracies after training on the whole set, over all networks and over those that "
      "are best on the whole set; in brackets a bootstrap interval of 95 %. The accuracy of "
      "the chosen network is that on the test part, after training on the whole set."};
  for (const eval::ProxyResult& proxy : result.proxies)
    if (proxy.diverged > 0)
      page.notes.push_back(fmt::format("{}: {} networks ran away and count as accuracy 0",
                                       proxy.name, proxy.diverged));
  page.facts = {{"Test images", std::to_string(result.test_images)}, {"retort version", version()}};
  page.recipe = recipe;
  return page;
}

std::string search_csv(const eval::SearchResult& result) {
  std::string text = "network";
  for (const eval::ProxyResult& proxy : result.proxies) text += ",\"" + proxy.name + "\"";
  text += result.whole.empty() ? "\n" : ",test\n";
  for (size_t n = 0; n < result.networks.size(); ++n) {
    text += result.networks[n];
    for (const eval::ProxyResult& proxy : result.proxies)
      text += fmt::format(",{:.6f}", proxy.validation[n]);
    text += result.whole.empty() ? "\n" : fmt::format(",{:.6f}\n", result.whole[n]);
  }
  return text;
}

}  // namespace retort::cli
