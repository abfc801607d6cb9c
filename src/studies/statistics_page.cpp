#include "studies/statistics_page.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>

namespace retort::studies {
namespace {

double median_of(const Measured& teacher,
                 const std::function<double(const LayerStatistics&)>& value) {
  std::vector<double> values;
  for (const LayerStatistics& layer : teacher.layers) values.push_back(value(layer));
  return at::tensor(values, at::kDouble).quantile(0.5).item<double>();
}

std::string number(double value) {
  return fmt::format("{:.3g}", value);
}

/// Medians over layers, and what images get.
report::Table summary_table(const std::vector<Measured>& teachers, const std::string& kind) {
  report::Table table{
      "Medians over layers, " + kind + " statistics",
      {"teacher", "objective", "epochs", "median RV", "std/mean RV", "std ln RV", "entropy RV",
       "std RM/sigma", "median RV/|W|^2", "std ln RV/|W|^2", "Gaussian entropy RV", "of RV/|W|^2"},
      {}};
  using L = LayerStatistics;
  const auto response = [](const L& l) { return l.response.value_or(Spread{}); };
  for (const Measured& t : teachers)
    table.rows.push_back(
        {t.name, t.objective, std::to_string(t.epochs),
         number(median_of(t, [](const L& l) { return l.variance.median; })),
         number(median_of(t, [](const L& l) { return l.variance.variation; })),
         number(median_of(t, [](const L& l) { return l.variance.log_deviation; })),
         number(median_of(t, [](const L& l) { return l.variance.entropy; })),
         number(median_of(t, [](const L& l) { return l.mean_deviation; })),
         number(median_of(t, [&](const L& l) { return response(l).median; })),
         number(median_of(t, [&](const L& l) { return response(l).log_deviation; })),
         number(median_of(t, [](const L& l) { return l.variance.gaussian_entropy; })),
         number(median_of(t, [&](const L& l) { return response(l).gaussian_entropy; }))});
  return table;
}

report::Table signal_table(const std::vector<Measured>& teachers, const std::string& kind) {
  report::Table table{"Gradients by images, " + kind + " statistics",
                      {"teacher", "images", "loss raw", "|g| cross-entropy", "|g| raw",
                       "raw over cross-entropy", "|g| scale-free", "cosine", "first layer"},
                      {}};
  for (const Measured& t : teachers)
    for (const auto& [name, s] :
         {std::pair<const char*, const Signal&>{"noise", t.noise}, {"real", t.real}})
      table.rows.push_back({t.name, name, number(s.raw), number(s.cross_entropy_gradient),
                            number(s.raw_gradient), number(s.ratio()),
                            number(s.scale_free_gradient), number(s.cosine),
                            number(s.first_layer_share)});
  return table;
}

report::Chart chart_of(const std::vector<Measured>& teachers, const std::string& title,
                       const std::function<double(const Measured&, size_t)>& value) {
  report::Chart chart{title, "layer", title, {}};
  for (const Measured& teacher : teachers) {
    if (teacher.control) continue;
    report::Series series{teacher.name, {}};
    for (size_t l = 0; l < teacher.layers.size(); ++l)
      series.points.emplace_back(l + 1, value(teacher, l));
    chart.series.push_back(series);
  }
  return chart;
}

Json to_json(const Spread& s) {
  return {{"median", s.median},
          {"variation", s.variation},
          {"log_deviation", s.log_deviation},
          {"entropy", s.entropy},
          {"gaussian_entropy", s.gaussian_entropy}};
}

Json to_json(const Signal& s) {
  return {{"cross_entropy", s.cross_entropy},
          {"raw", s.raw},
          {"scale_free", s.scale_free},
          {"cross_entropy_gradient", s.cross_entropy_gradient},
          {"raw_gradient", s.raw_gradient},
          {"scale_free_gradient", s.scale_free_gradient},
          {"ratio", s.ratio()},
          {"cosine", s.cosine},
          {"first_layer_share", s.first_layer_share},
          {"layers", s.layers}};
}

Json to_json(const Measured& t, const std::string& statistics) {
  Json layers = Json::array();
  for (const LayerStatistics& l : t.layers) {
    Json layer{{"layer", l.layer},
               {"channels", l.channels},
               {"largest_variance", l.largest_variance},
               {"least_mean", l.least_mean},
               {"largest_mean", l.largest_mean},
               {"variance", to_json(l.variance)},
               {"mean_deviation", l.mean_deviation}};
    if (l.response) layer["response"] = to_json(*l.response);
    layers.push_back(layer);
  }
  return {{"teacher", t.name},  {"network", t.network},      {"objective", t.objective},
          {"epochs", t.epochs}, {"statistics", statistics},  {"control", t.control},
          {"layers", layers},   {"noise", to_json(t.noise)}, {"real", to_json(t.real)}};
}

}  // namespace

report::Page statistics_page(const std::vector<Kind>& kinds, const data::Dataset& data,
                             const Verdict& verdict) {
  report::Page page;
  page.title = "BatchNorm statistics of teachers";
  page.summary = fmt::format("{} teachers on {}", kinds[0].teachers.size(), data.name);
  page.tables_title = "Measures";
  for (const Kind& kind : kinds) page.tables.push_back(summary_table(kind.teachers, kind.name));
  for (const Kind& kind : kinds) page.tables.push_back(signal_table(kind.teachers, kind.name));
  using M = Measured;
  const auto& recalibrated = kinds[1].teachers;
  page.charts = {chart_of(recalibrated, "std of ln RV",
                          [](const M& t, size_t l) { return t.layers[l].variance.log_deviation; }),
                 chart_of(recalibrated, "std of ln RV/|W|^2",
                          [](const M& t, size_t l) {
                            return t.layers[l].response ? t.layers[l].response->log_deviation
                                                        : std::nan("");
                          }),
                 chart_of(recalibrated, "median RV",
                          [](const M& t, size_t l) { return t.layers[l].variance.median; }),
                 chart_of(recalibrated, "gradient of one layer's distance at noise",
                          [](const M& t, size_t l) { return t.noise.layers[l]; })};
  page.charts[2].log_y = page.charts[3].log_y = true;
  page.notes = verdict.lines();
  page.notes.push_back(
      "RV, RM: running variance and mean; W: a channel's filter. Medians and gradients of raw "
      "distances change where a convolution is rescaled, which changes no output; deviations of "
      "logarithms, entropies, RV/|W|^2 and scale-free gradients do not. Clean: measured anew on "
      "images without augmentation; curves and verdict use these. The first layer's distance "
      "counts ten times.");
  return page;
}

Json statistics_json(const std::vector<Kind>& kinds, const Verdict& verdict) {
  Json figures{{"teachers", Json::array()}, {"verdict", verdict.lines()}};
  for (const Kind& kind : kinds)
    for (const Measured& teacher : kind.teachers)
      figures["teachers"].push_back(to_json(teacher, kind.name));
  return figures;
}

}  // namespace retort::studies
