"""The SDK API's addresses that are about people, companies and events."""

from __future__ import annotations

from django.urls import path

from sessions.api.views import EventsView, IdentifyCompanyView, IdentifyUserView, UpdateUsersView

urlpatterns = [
    path("users/identify", IdentifyUserView.as_view(), name="sdk-identify-user"),
    path("users/update", UpdateUsersView.as_view(), name="sdk-update-users"),
    path("companies/identify", IdentifyCompanyView.as_view(), name="sdk-identify-company"),
    path("events", EventsView.as_view(), name="sdk-events"),
]
