#include <cmath>

#include "eval/search.h"

namespace retort::eval {
namespace {

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json to_json(const Correlation& found) {
  return {{"networks", found.count},
          {"spearman", number(found.value)},
          {"low", number(found.low)},
          {"high", number(found.high)}};
}

Json to_json(const ProxyResult& proxy) {
  Json json{{"proxy", proxy.name},
            {"images", proxy.images},
            {"bytes", proxy.bytes},
            {"steps", proxy.steps},
            {"seconds", proxy.seconds},
            {"diverged", proxy.diverged},
            {"validation", proxy.validation},
            {"chosen", proxy.chosen}};
  if (proxy.accuracy) json["accuracy_of_chosen"] = *proxy.accuracy;
  if (proxy.all) json["correlation"] = to_json(*proxy.all);
  Json tops = Json::array();
  for (const Correlation& top : proxy.top) tops.push_back(to_json(top));
  json["correlation_over_top"] = tops;
  return json;
}

}  // namespace

Json to_json(const SearchResult& result) {
  Json proxies = Json::array();
  for (const ProxyResult& proxy : result.proxies) proxies.push_back(to_json(proxy));
  return {{"kind", "search"},
          {"networks", result.networks},
          {"whole_set", result.whole},
          {"test_images", result.test_images},
          {"validation_images", result.validation_images},
          {"proxies", proxies}};
}

}  // namespace retort::eval
