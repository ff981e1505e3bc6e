"""The two shops of the demo: where people fly and sleep, and what makes them book."""

from __future__ import annotations

from trainyard.laptop.travel_shop import Group, Shop


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COUNTRIES = _words("US GB DE FR ES IT NL CA AU SE BR MX JP IN PL CH AT BE DK NO IE PT FI NZ SG")
CITIES = _words(
    "Paris London Rome Barcelona Amsterdam Lisbon Prague Vienna Berlin Madrid Venice Florence Athens Budapest "
    "Istanbul Dublin Edinburgh Munich Copenhagen Stockholm Porto Seville Milan Naples Nice Brussels Krakow "
    "Warsaw Hamburg Zurich Geneva Oslo Helsinki Reykjavik Valencia Palma Dubrovnik Split Santorini Crete Malta "
    "Marrakesh Cairo Dubai Bangkok Singapore Tokyo Kyoto Osaka Seoul Bali Sydney Melbourne Auckland Honolulu "
    "Cancun Miami Orlando Boston Chicago Seattle Denver Austin Toronto Montreal Vancouver Havana Lima Cusco "
    "Bogota"
)
AIRPORTS = _words(
    "LHR JFK CDG AMS FRA MAD BCN FCO MUC ZRH VIE CPH LIS DUB ARN OSL HEL ATH IST DXB SIN BKK HND ICN SYD MEL "
    "AKL YYZ YVR BOS ORD LAX SFO SEA MIA MCO DEN AUS ATL DFW PHX LAS EWR IAD MEX GRU EZE BOG LIM SCL CAI JNB "
    "CPT NBO DEL BOM KUL MNL PVG HKG"
)
DEPARTURES = _words("LHR JFK CDG AMS FRA MAD MUC ZRH VIE CPH DUB ARN BOS ORD LAX SFO SEA MIA YYZ SYD")

VISITOR = (
    Group("device", ("phone", "desktop", "tablet", "app", "other"), spread=0.3, skew=0.7),
    Group(
        "channel",
        (
            "search_ad",
            "direct",
            "organic",
            "meta_search",
            "email",
            "affiliate",
            "social",
            "display_ad",
            "partner",
        ),
        spread=0.5,
        skew=0.5,
    ),
    Group("weekday", ("mon", "tue", "wed", "thu", "fri", "sat", "sun"), spread=0.12),
    Group("local_hour", tuple(f"{hour:02}-{hour + 3:02}" for hour in range(0, 24, 3)), spread=0.15),
    Group("visits_before", ("0", "1", "2", "3", "4", "5-7", "8-12", "13+"), trend=1.8, skew=0.8),
    Group("visitor_country", COUNTRIES, spread=0.3, skew=1.1),
)
SEARCH_DEPTH = Group(
    "pages_seen",
    ("1", "2", "3", "4", "5", "6", "7-8", "9-11", "12-15", "16-22", "23-35", "36+"),
    trend=2.4,
    skew=0.6,
)
LEAD_DAYS = _words("0 1 2-3 4-6 7-9 10-13 14-20 21-29 30-44 45-59 60-89 90-149 150-239 240+")
MONTH = Group(
    "month_of_travel", _words("jul aug jun sep may oct dec apr mar feb jan nov"), spread=0.2, skew=0.3
)
SIXTEENTHS = _words("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16")
ROWS = {"train": 150_000, "test": 40_000}

HOTELS = Shop(
    groups=(
        *VISITOR,
        SEARCH_DEPTH,
        Group("destination", CITIES, spread=0.4, skew=0.7),
        Group("price_sixteenth", SIXTEENTHS, trend=-1.8, spread=0.1),
        Group("days_ahead", LEAD_DAYS, trend=-1.2, spread=0.1),
        MONTH,
        Group(
            "nights",
            ("1", "2", "3", "4", "5", "6", "7", "8-10", "11-14", "15+"),
            trend=-0.8,
            spread=0.1,
            skew=0.5,
        ),
        Group("guests", ("2", "1", "3", "4", "5", "6+"), spread=0.3, skew=0.8),
        Group("stars", ("3", "4", "2", "5", "1"), spread=0.3, skew=0.6),
        Group("sorted_by", ("default", "price", "rating", "distance", "deals"), spread=0.3, skew=0.9),
        Group("reviews_read", ("0", "1", "2-3", "4-7", "8+"), trend=0.9, skew=1.0),
        Group("map_opened", ("no", "yes"), trend=0.3, skew=1.0),
    ),
    base_rate=0.08,
    seed=20_151,
    rows=ROWS,
)

FLIGHTS = Shop(
    groups=(
        *VISITOR,
        SEARCH_DEPTH,
        Group("from", DEPARTURES, spread=0.3, skew=0.5),
        Group("to", AIRPORTS, spread=0.4, skew=0.7),
        Group("fare_sixteenth", SIXTEENTHS, trend=-1.6, spread=0.1),
        Group("days_ahead", LEAD_DAYS, trend=-0.9, spread=0.15),
        MONTH,
        Group("cabin", ("economy", "premium_economy", "business", "first"), spread=0.4, skew=1.2),
        Group("stops", ("0", "1", "2", "3+"), trend=-1.0, skew=0.8),
        Group("trip", ("return", "one_way", "multi_city"), spread=0.4, skew=0.8),
        Group("passengers", ("1", "2", "3", "4", "5+"), spread=0.3, skew=1.0),
        Group("bags", ("1", "0", "2", "3", "4+"), spread=0.3, skew=1.0),
        Group("dates", ("fixed", "flexible"), trend=-0.4, skew=1.0),
    ),
    base_rate=0.09,
    seed=20_152,
    rows=ROWS,
)
