"""A small shop, instrumented with the official OpenTelemetry SDK, under simulated load: something to look at.

    pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
    python examples/shop/shop.py --seconds 600

| service | sends |
|---|---|
| frontend | HTTP spans and durations (explicit buckets), orders, carts in use, logs |
| cart | HTTP spans and durations (explicit buckets), two hosts |
| payment | HTTP spans and durations (exponential buckets), declines, JSON logs |
| mail | spans only: it consumes what checkout publishes, in traces of its own that link to it |
| stock | metrics only, in the older convention: `http.server.duration` in milliseconds |
| catalog | gRPC spans and durations (`rpc.server.call.duration`) |

Every 5 minutes, for 40 seconds, the bank behind `payment` is slow and fails often. `--hostile` adds a shop whose every
name is hostile. `--seed` repeats a run: the same requests, the same trace ids. The last line on stdout is JSON: what was
sent. Durations are drawn, not slept, so a few hundred requests a second cost little.
"""

import argparse
import json
import math
import random
import sys
import time
import uuid
from collections import Counter, defaultdict

from opentelemetry.trace import Link, SpanKind, Status, StatusCode, set_span_in_context

import hostile
from services import Ids, Service, nanoseconds

INCIDENT_EVERY, INCIDENT = 300, 40
OLD_BOUNDS = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000]


class Shop:
    def __init__(self, endpoint, interval, seed):
        self.random = random.Random(seed)
        ids = None if seed is None else Ids(seed)

        def service(name, version="1.4.2", **more):
            more = {"service_version": version, "deployment_environment_name": "demo", **more}
            # Tells this run's counters from those of another that runs beside it.
            instance = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
            return Service(name, endpoint, interval, ids, service_instance_id=instance, **more)

        self.frontend = service("frontend", host_name="web-1")
        self.carts = [service("cart", host_name=f"cart-{n}") for n in (1, 2)]
        self.payment = service("payment", version="2.0.0-rc1", exponential=True, host_name="pay-1")
        self.mail = service("mail", signals="traces logs", host_name="mail-1")
        self.stock = service("stock", signals="metrics", host_name="stock-1")
        self.catalog = service("catalog", host_name="web-1")
        self.services = [self.frontend, *self.carts, self.payment, self.mail, self.stock, self.catalog]

        durations = {
            one: one.histogram("http.server.request.duration") for one in [self.frontend, *self.carts, self.payment]
        }
        self.durations = {**durations, self.catalog: self.catalog.histogram("rpc.server.call.duration")}
        self.client = self.frontend.histogram("http.client.request.duration")
        self.stock_duration = self.stock.histogram("http.server.duration", "ms", OLD_BOUNDS)
        self.orders = self.frontend.meter.create_counter("shop.orders", unit="{order}", description="Orders placed")
        self.revenue = self.frontend.meter.create_counter("shop.revenue", unit="{EUR}", description="Paid for orders")
        self.in_carts = self.frontend.meter.create_up_down_counter(
            "shop.cart.items", unit="{item}", description="Items in carts"
        )
        self.incident = False
        # What was sent, for who wants to compare: requests by service, route and error, and their durations in seconds.
        self.requests = Counter()
        self.errors = Counter()
        self.seconds = defaultdict(list)

    def time(self, median, spread=0.5):
        return median * math.exp(self.random.gauss(0, spread))

    def request(self, at, elapsed):
        """One request that ends about `at`; `elapsed` seconds of load so far decide whether the bank is slow."""
        self.incident = elapsed % INCIDENT_EVERY > INCIDENT_EVERY - INCIDENT
        kinds = [self.home, self.product, self.cart, self.checkout]
        self.random.choices(kinds, weights=[40, 30, 18, 12])[0](at - 0.5)

    # Each answers a page: opens the server span, makes the calls, closes it, and records.

    def home(self, at):
        span = self.open(self.frontend, "GET", "/", at)
        self.close(self.frontend, span, "GET", "/", at, self.time(0.008))

    def product(self, at):
        route = "/products/{id}"
        number = self.random.randrange(1, 400)
        span = self.open(self.frontend, "GET", route, at, **{"url.path": f"/products/{number}"})
        spent = 0.002 + self.call_catalog(span, at + 0.002, number) + self.call_stock()
        status = 200
        if number % 50 == 0:
            status = 404
            self.frontend.log("WARN", f"no product {number}", at + spent, span, http_route=route, product_id=number)
        self.close(self.frontend, span, "GET", route, at, spent + self.time(0.004), status)

    def cart(self, at):
        span = self.open(self.frontend, "GET", "/cart", at)
        spent = 0.001 + self.call(
            span, self.random.choice(self.carts), "GET", "/carts/{id}", at + 0.001, self.time(0.012)
        )
        if self.random.random() < 0.6:
            self.in_carts.add(self.random.randrange(1, 3), {"region": self.random.choice(["eu", "us"])})
        self.close(self.frontend, span, "GET", "/cart", at, spent + self.time(0.003))

    def checkout(self, at):
        route, order, amount = "/checkout", self.random.randrange(10**6), round(self.time(40, 0.7), 2)
        span = self.open(self.frontend, "POST", route, at, **{"shop.order.id": order})
        spent = 0.002 + self.call(
            span, self.random.choice(self.carts), "GET", "/carts/{id}", at + 0.002, self.time(0.012)
        )
        paid, took = self.charge(span, at + spent, order, amount)
        spent += took
        if paid:
            self.frontend.log(
                "INFO", f"order {order} placed", at + spent, span, "shop.order.placed", shop_order_id=order
            )
            self.orders.add(1, {"region": self.random.choice(["eu", "us"])})
            self.revenue.add(amount, {"region": "eu"})
            self.in_carts.add(-self.random.randrange(0, 2), {"region": "eu"})
            self.publish(span, at + spent, order)
            self.close(self.frontend, span, "POST", route, at, spent + self.time(0.005), 201)
        else:
            self.frontend.log("ERROR", f"checkout of order {order} failed", at + spent, span, shop_order_id=order)
            self.close(self.frontend, span, "POST", route, at, spent + self.time(0.005), 502)

    # What the pages call.

    def call(self, parent, service, method, route, at, took, status=200, during=None):
        """`service` answers a call of the frontend's; returns how long the caller waited."""
        wire = 0.0005 + self.time(0.0005)
        host = {"server.address": service.name, "http.request.method": method}
        client = self.frontend.span(method, SpanKind.CLIENT, at, parent, host)
        server = self.open(service, method, route, at + wire, client)
        if during:
            during(server)
        self.close(service, server, method, route, at + wire, took, status)
        if status >= 500:
            client.set_status(Status(StatusCode.ERROR))
        self.frontend.end(client, at + took + 2 * wire)
        self.client.record(took + 2 * wire, {**host, "http.response.status_code": status})
        return took + 2 * wire

    def charge(self, parent, at, order, amount):
        took, chance = (self.time(1.2, 0.6), 0.35) if self.incident else (self.time(0.09, 0.6), 0.02)
        failed = self.random.random() < chance

        def bank(span):
            inner = self.payment.span("bank.authorize", SpanKind.CLIENT, at + 0.003, span, {"peer.service": "bank"})
            if failed:
                inner.record_exception(TimeoutError("the bank did not answer"), timestamp=nanoseconds(at + took * 0.9))
                inner.set_status(Status(StatusCode.ERROR, "the bank did not answer"))
            else:
                inner.add_event("authorized", {"shop.amount": amount}, timestamp=nanoseconds(at + took * 0.9))
            self.payment.end(inner, at + took * 0.95)
            body = {"order": order, "amount": amount, "currency": "EUR", "attempts": [1, 2] if failed else [1]}
            body["outcome"] = "timeout" if failed else "charged"
            self.payment.log("ERROR" if failed else "INFO", body, at + took, span, "shop.charge", peer_service="bank")
            if took > 2:
                self.payment.log("WARN", f"the bank took {took:.1f} s", at + took, span)

        spent = self.call(parent, self.payment, "POST", "/charges", at, took, 504 if failed else 201, bank)
        return not failed, spent

    def call_catalog(self, parent, at, number):
        took, method = self.time(0.006), "shop.Catalog/GetProduct"
        client = self.frontend.span(
            method, SpanKind.CLIENT, at, parent, {"rpc.system.name": "grpc", "rpc.method": method}
        )
        attributes = {"rpc.system.name": "grpc", "rpc.method": method, "rpc.response.status_code": "OK"}
        if number % 50 == 0:
            attributes["rpc.response.status_code"] = "NOT_FOUND"
        server = self.catalog.span(method, SpanKind.SERVER, at + 0.0005, client, attributes)
        self.durations[self.catalog].record(took, attributes, set_span_in_context(server))
        self.note(self.catalog, method, False, took)
        self.catalog.log("DEBUG", f"product {number} read", at + took, server, rpc_method=method)
        self.catalog.end(server, at + took)
        self.frontend.end(client, at + took + 0.001)
        return took + 0.001

    def call_stock(self):
        took = self.time(0.004)
        status = 503 if self.random.random() < 0.01 else 200
        attributes = {"http.method": "GET", "http.route": "/stock/{id}", "http.status_code": status}
        self.stock_duration.record(took * 1000, attributes)
        self.note(self.stock, "GET /stock/{id}", status >= 500, took)
        return took

    def publish(self, parent, at, order):
        attributes = {"messaging.system": "kafka", "messaging.destination.name": "orders", "shop.order.id": order}
        sent = self.frontend.span("send orders", SpanKind.PRODUCER, at, parent, attributes)
        self.frontend.end(sent, at + 0.001)
        took, at = self.time(0.03), at + self.time(0.05)
        link = Link(sent.get_span_context(), {"messaging.message.id": str(order)})
        span = self.mail.span("process orders", SpanKind.CONSUMER, at, attributes=attributes, links=[link])
        self.note(self.mail, "process orders", False, took)
        self.mail.log("INFO", f"mail for order {order} sent", at + took, span, shop_order_id=order)
        self.mail.end(span, at + took)

    # A server's span, its duration, and the tally.

    def open(self, service, method, route, at, parent=None, **attributes):
        attributes = {"http.request.method": method, "http.route": route, "url.scheme": "http", **attributes}
        return service.span(f"{method} {route}", SpanKind.SERVER, at, parent, attributes)

    def close(self, service, span, method, route, at, took, status=200):
        attributes = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
        if status >= 500:
            attributes["error.type"] = str(status)
            span.set_attribute("error.type", str(status))
            span.set_status(Status(StatusCode.ERROR))
        span.set_attribute("http.response.status_code", status)
        # The span as context gives the histogram its exemplars.
        self.durations[service].record(took, attributes, set_span_in_context(span))
        self.note(service, f"{method} {route}", status >= 500, took)
        service.end(span, at + took)

    def note(self, service, route, error, took):
        key = (service.name, route)
        self.requests[key] += 1
        self.errors[key] += bool(error)
        self.seconds[key].append(took)

    def summary(self):
        def one(key):
            ordered = sorted(self.seconds[key])
            quantiles = {
                f"p{q}": ordered[min(len(ordered) - 1, math.ceil(len(ordered) * q / 100) - 1)] for q in (50, 95, 99)
            }
            return {
                "service": key[0],
                "route": key[1],
                "requests": self.requests[key],
                "errors": self.errors[key],
                **quantiles,
            }

        spans, logs = (sum(getattr(one, kind) for one in self.services) for kind in ("spans", "records"))
        return {"spans": spans, "logs": logs, "routes": [one(key) for key in sorted(self.requests)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", default="http://localhost:4318", help="OTLP over HTTP")
    parser.add_argument("--seconds", type=float, default=60, help="how long to run (60)")
    parser.add_argument("--rate", type=float, default=20, help="requests a second, on average (20)")
    parser.add_argument(
        "--requests", type=int, help="so many requests at once, and then the end, instead of --seconds at --rate"
    )
    parser.add_argument("--interval", type=float, default=2, help="seconds between exports (2)")
    parser.add_argument("--seed", type=int, help="repeat a run: the same requests and ids")
    parser.add_argument("--hostile", action="store_true", help="also send names meant to break whoever shows them")
    options = parser.parse_args()
    endpoint = options.endpoint.rstrip("/")

    shop = Shop(endpoint, options.interval, options.seed)
    try:
        if options.hostile:
            hostile.send(endpoint, options.interval)
        if options.requests is not None:
            for number in range(options.requests):
                shop.request(time.time(), number / options.rate)
        else:
            load(shop, options)
    except KeyboardInterrupt:
        pass
    for service in shop.services:
        service.shutdown()
    json.dump(shop.summary(), sys.stdout)
    print()


def load(shop, options):
    """Requests at about --rate, with a swell of two minutes, for --seconds."""
    start, due = time.time(), 0.0
    while (elapsed := time.time() - start) < options.seconds:
        due += 0.1 * options.rate * (1 + 0.4 * math.sin(elapsed * 2 * math.pi / 120) + shop.random.uniform(-0.2, 0.2))
        for _ in range(int(due)):
            shop.request(time.time(), elapsed)
        due -= int(due)
        time.sleep(max(0.0, 0.1 - (time.time() - start - elapsed)))


if __name__ == "__main__":
    main()
